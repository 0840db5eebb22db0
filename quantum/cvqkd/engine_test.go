package cvqkd_test

import (
	"context"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/cvqkd"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// engines opens a link of two ends over TCP with real distillation.
func engines(t *testing.T, d cvqkd.Device) (ends [2]*distill.Link) {
	t.Helper()
	dirs := [2]durable.FS{durable.Mem(1 << 24), durable.Mem(1 << 24)}
	if err := distill.Found(dirs, rand.Reader); err != nil {
		t.Fatal(err)
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range ends {
		role := distill.Role(i)
		world := quantum.World{Seed: [32]byte{42}, Start: time.Now()}
		p, err := d.Protocol(distill.Setup{Role: role, World: world, Channel: quantum.Channel{Loss: 1}})
		if err != nil {
			t.Fatal(err)
		}
		c := distill.Config{Link: "ab", Epoch: 1, Role: role, Block: 512, FS: dirs[i], Protocol: p, Device: "test", Kind: d.Kind(), Class: qsc.Simulated}
		if role == distill.Alice {
			c.Listen = listen
		} else {
			c.Dial = func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", listen.Addr().String())
			}
		}
		if ends[i], err = distill.Open(c); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ends[i].Close() })
	}
	return ends
}

// The whole way: symbols, reconciliation, verification, amplification, tags over
// a socket; the blocks are equal at both ends, simulated, and say their bound.
func TestKeyBlocks(t *testing.T) {
	ends := engines(t, cvqkd.Device{
		Clock: 1e6, VA: 1, Xi: 0.002, Eta: 0.8, Vel: 0.02, Beta: 0.72, Trusted: true,
		Block: 1 << 18, Estimate: 0.5, Frame: 1 << 13, EpsPE: 1e-4, EpsBar: 1e-4, EpsPA: 1e-4,
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var blocks [2]quantum.KeyBlock
	for i, l := range ends {
		b, err := l.Next(ctx, func(uint64) bool { return true })
		if err != nil {
			t.Fatalf("end %d: %v; status %+v", i, err, l.Status())
		}
		blocks[i] = b
	}
	a, b := blocks[0], blocks[1]
	if a.Seq != b.Seq || a.ID != b.ID || !a.Key.Equal(b.Key) {
		t.Fatalf("the ends disagree on block %d", a.Seq)
	}
	if a.Bound != cvqkd.FiniteSize || a.Class&qsc.Simulated == 0 || a.EpsSec < 3e-4 {
		t.Errorf("bound %s, class %s, secrecy %g", a.Bound, a.Class, a.EpsSec)
	}
	r := ends[0].Records(1)
	if len(r) != 1 || r[0].Length <= 0 || r[0].Params["xi_worst"] == nil {
		t.Errorf("records %+v", r)
	}
}
