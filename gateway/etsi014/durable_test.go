package etsi014

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014/load"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
	"github.com/quantum-secure-cloud/qsc/keymgmt/supply"
)

// wireRelay joins two real supplies in one process: key of the operating system,
// at once.
type wireRelay struct {
	node  qsc.NodeID
	peers map[qsc.NodeID]keymgmt.Sink
}

func (w *wireRelay) Make(_ context.Context, to qsc.NodeID, _ keymgmt.Protection, label []byte, n int) (keymgmt.Delivery, error) {
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	d := keymgmt.Delivery{From: w.node, To: to, Label: bytes.Clone(label), Class: qsc.OSRandom, Hops: 1, Paths: 1, Need: 1, Disjoint: true}
	there := d
	there.Key, d.Key = qsc.NewSecret(bytes.Clone(raw)), qsc.NewSecret(raw)
	return d, w.peers[to].Accept(there)
}

func (w *wireRelay) Tell(_ context.Context, to qsc.NodeID, topic keymgmt.Topic, text []byte) error {
	w.peers[to].Told(w.node, topic, bytes.Clone(text))
	return nil
}

func (w *wireRelay) Receive(context.Context, qsc.NodeID, []byte) error { return nil }
func (w *wireRelay) Status() keymgmt.RelayStatus                       { return keymgmt.RelayStatus{} }
func (w *wireRelay) Close() error                                      { return nil }

// durablePair is the real thing but for the relay: two supplies, each in a
// directory of its own on the disk, behind their gateways.
func durablePair(t testing.TB) load.Plan {
	t.Helper()
	ca := testkit.NewCA(t)
	directory := keymgmttest.NewSupply(keymgmttest.SupplyConfig{Homes: homes}) // only as the directory
	peers := map[qsc.NodeID]keymgmt.Sink{}
	var ends []load.End
	for node, app := range map[qsc.NodeID]string{"A": "alice", "B": "bob"} {
		fs, err := durable.Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		s, err := supply.Open(supply.Config{Node: node, FS: fs, Directory: directory, Relay: &wireRelay{node, peers}})
		if err != nil {
			t.Fatal(err)
		}
		peers[node] = s
		g, err := Serve(listen(t), Config{Node: node, Supply: s, Directory: directory, Door: sae.Config{Certificate: ca.Leaf(t, string(node)), ClientCAs: ca.Pool}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.Close(); _ = s.Close(); _ = fs.Close() })
		ends = append(ends, load.End{URL: "https://" + g.Addr().String(), TLS: ca.Client(ca.Leaf(t, app)), SAE: app})
	}
	if ends[0].SAE == "bob" {
		ends[0], ends[1] = ends[1], ends[0]
	}
	return load.Plan{Master: ends[0], Slave: ends[1]}
}

// Through HTTPS, two gateways and two durable supplies, every key comes once and
// is the same at both ends.
func TestDurableOnce(t *testing.T) {
	plan := durablePair(t)
	plan.Batch, plan.Workers, plan.Once, plan.MaxPairs, plan.Duration, plan.Size = 32, 4, true, 300, 10*time.Minute, 256
	r, err := load.Run(t.Context(), plan)
	if err != nil || r.Errors+r.Wrong > 0 || r.Pairs < 290 {
		t.Fatalf("%d pairs, %d wrong, %d errors, first %v, %v", r.Pairs, r.Wrong, r.Errors, r.First, err)
	}
}

// BenchmarkDurable is BenchmarkPairs with both ends durable.
func BenchmarkDurable(b *testing.B) {
	for name, change := range map[string]load.Plan{"keepalive": {Workers: 32}, "batch128": {Workers: 16, Batch: 128}, "newtls": {NewTLS: true}} {
		b.Run(name, func(b *testing.B) {
			plan := durablePair(b)
			plan.Workers, plan.Batch, plan.NewTLS, plan.Duration = change.Workers, change.Batch, change.NewTLS, 300*time.Millisecond
			measure(b, plan) // the first segments
			plan.Duration = 2 * time.Second
			before := processor()
			r, err := load.Run(b.Context(), plan)
			if err != nil || r.Wrong > 0 {
				b.Fatal(err, r.First)
			}
			b.ReportMetric(r.PairsPerSecond(), "pairs/s")
			b.ReportMetric(r.KeysPerSecond(), "keys/s")
			b.ReportMetric(float64(r.Errors), "errors")
			b.ReportMetric(float64(processor()-before)/1e3/float64(r.Pairs), "cpu-µs/pair")
			b.ReportMetric(float64(r.P50.Microseconds()), "p50-µs")
			b.ReportMetric(float64(r.P99.Microseconds()), "p99-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}
