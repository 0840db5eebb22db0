package etsi014

import (
	"crypto/tls"
	"syscall"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/gateway/etsi014/load"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// BenchmarkPairs runs each plan for QSC's gateway over the supply double and for
// the bare server, one after the other.
func BenchmarkPairs(b *testing.B) {
	for _, c := range []struct {
		name string
		plan load.Plan
	}{
		{"keepalive", load.Plan{}},
		{"batch128", load.Plan{Batch: 128}},
		{"newtls", load.Plan{NewTLS: true}},
		{"newtls-x25519", load.Plan{NewTLS: true}}, // what encryptors in the field offer, without ML-KEM
	} {
		b.Run(c.name, func(b *testing.B) {
			n := open(b, keymgmttest.SupplyConfig{})
			c.plan.Master, c.plan.Slave = n.end(b, n.a, "alice"), n.end(b, n.b, "bob")
			if c.name == "newtls-x25519" {
				c.plan.Master.TLS.CurvePreferences = []tls.CurveID{tls.X25519}
				c.plan.Slave.TLS.CurvePreferences = c.plan.Master.TLS.CurvePreferences
			}
			c.plan.Duration = 1500 * time.Millisecond
			before := processor()
			ours := measure(b, c.plan)
			b.ReportMetric(float64(processor()-before)/1e3/float64(ours.Pairs), "cpu-µs/pair") // client and both servers; steady on a busy machine
			door, err := load.Bare(listen(b), sae.Config{Certificate: n.ca.Leaf(b, "bare"), ClientCAs: n.ca.Pool}, max(1, c.plan.Batch), 256)
			if err != nil {
				b.Fatal(err)
			}
			defer door.Close()
			c.plan.Master.URL = "https://" + door.Addr().String()
			c.plan.Slave.URL = c.plan.Master.URL
			before = processor()
			bare := measureBare(b, c.plan)
			b.ReportMetric(float64(processor()-before)/1e3/float64(bare.Pairs), "bare-cpu-µs/pair")
			b.ReportMetric(ours.PairsPerSecond(), "pairs/s")
			b.ReportMetric(ours.KeysPerSecond(), "keys/s")
			b.ReportMetric(float64(ours.P50.Microseconds()), "p50-µs")
			b.ReportMetric(float64(ours.P99.Microseconds()), "p99-µs")
			b.ReportMetric(ours.PairsPerSecond()/bare.PairsPerSecond(), "of-bare")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// processor is the time that this process has used of all processors.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func measure(b *testing.B, p load.Plan) (r load.Result) {
	b.Helper()
	for b.Loop() {
		var err error
		if r, err = load.Run(b.Context(), p); err != nil || r.Errors+r.Wrong > 0 {
			b.Fatal(err, r.First, r.Wrong)
		}
	}
	return r
}

func measureBare(b *testing.B, p load.Plan) load.Result {
	b.Helper()
	r, err := load.Run(b.Context(), p)
	if err != nil || r.Errors > 0 {
		b.Fatal(err, r.First)
	}
	return r
}
