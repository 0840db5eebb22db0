package etsi004

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/gateway/etsi004/load"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// second is the KME of the other node, over the same supply.
func (w *world) second(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Serve(l, Config{Supply: w.supply, TLS: w.ca.Server(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.Addr().String()
}

// Both ends draw the same key, client included; the ratio is to bare TLS.
func TestLoad(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	cfg := load.Config{Chunk: 256 << 10, Duration: 100 * time.Millisecond, Ends: [2]load.End{
		{Addr: w.addr(), TLS: w.ca.Client(t, "alice"), URI: "qkd://alice@a"}, {Addr: w.second(t), TLS: w.ca.Client(t, "bob"), URI: "bob"}}}
	if os.Getenv("QSC_LONG") != "" {
		cfg.Duration = 3 * time.Second
	}
	r, err := load.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Bytes < 64*256<<10 || r.Rate <= 0 || r.Bare <= 0 {
		t.Fatalf("%+v", r)
	}
	t.Logf("%v of key at each end, %v bare, ratio %.2f", r.Rate, r.Bare, r.Ratio)
}
