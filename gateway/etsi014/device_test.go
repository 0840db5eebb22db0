package etsi014

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	device "github.com/quantum-secure-cloud/qsc/quantum/device/etsi014"
)

// The driver of vendors' devices draws its blocks from KMEs in another process,
// which are ours.
func TestDeviceOverProcesses(t *testing.T) {
	p := startKME(t)
	side, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conf := p.ca.Client(p.ca.Leaf(t, "end"))
	conf.ClientCAs = p.ca.Pool
	config := func(url, sae, peer string) device.Config {
		c, err := NewClient(ClientConfig{URL: url, TLS: p.ca.Client(p.ca.Leaf(t, sae))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return device.Config{Link: "ab", Epoch: 1, Block: 64 << 10, KME: c, Peer: peer, TLS: conf}
	}
	a, b := config(p.url, "alice", "bob"), config(p.peerURL, "bob", "alice")
	a.Master, a.Listen, a.FS, b.Dial = true, side, durable.Mem(1<<24), side.Addr().String()
	var ends [2]quantum.Link
	for i, cfg := range []device.Config{a, b} {
		l, err := device.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ends[i] = l
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for seq := range uint64(4) {
		want := func(s uint64) bool { return s == seq }
		x, err := ends[0].Next(ctx, want)
		if err != nil {
			t.Fatal(err)
		}
		y, err := ends[1].Next(ctx, want)
		if err != nil {
			t.Fatal(err)
		}
		if x.ID != y.ID || !x.Key.Equal(y.Key) || x.Key.Len() != 64<<10 || x.Class != qsc.Computational {
			t.Fatalf("block %d differs, or its class is %v", seq, x.Class)
		}
	}
}
