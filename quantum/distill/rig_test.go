package distill_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/device/twins/twinstest"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
)

const (
	alice = 0
	bob   = 1
)

// rig is a link of two ends over TCP on this machine.
type rig struct {
	t       testing.TB
	dirs    [2]durable.FS
	links   [2]*distill.Link
	streams [2]*distill.Stream
	door    *twinstest.Door // keeps the port while no end listens
	qber    float64
	bits    int // sifted in a round
	block   int64
	room    int64
	rate    qsc.BitRate // of sifted bits, in the world's time
	frame   int         // of reconciliation, 0: the default
	wrap    func(end int, c net.Conn) net.Conn
	protect func(end int, p distill.Protocol) distill.Protocol
	correct func(end int, c distill.Reconciler) distill.Reconciler
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, door: twinstest.NewDoor(t), qber: 0.02, bits: 1 << 16, block: 512, frame: 1 << 12, wrap: func(_ int, c net.Conn) net.Conn { return c },
		protect: func(_ int, p distill.Protocol) distill.Protocol { return p },
		correct: func(_ int, c distill.Reconciler) distill.Reconciler { return c }}
	r.dirs = [2]durable.FS{durable.Mem(1 << 26), durable.Mem(1 << 26)}
	if err := distill.Found(r.dirs, rand.Reader); err != nil {
		t.Fatal(err)
	}
	return r
}

// listener wraps what it accepts.
type listener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}

func (r *rig) config(end int) distill.Config {
	r.t.Helper()
	cfg := distill.Config{Link: "ab", Epoch: 3, Role: distill.Role(end), Block: r.block, FS: r.dirs[end], Room: r.room,
		Reconciler: r.correct(end, cascade.New(cascade.Config{Frame: r.frame})), Device: "stream", Kind: "stream", Class: qsc.Simulated,
		Logger: slog.New(slog.DiscardHandler)}
	s, err := distill.NewStream(distill.StreamConfig{Role: cfg.Role, World: quantum.World{Seed: [32]byte{7}}, Block: r.bits, QBER: r.qber, Rate: r.rate})
	if err != nil {
		r.t.Fatal(err)
	}
	r.streams[end] = s
	cfg.Protocol = r.protect(end, s)
	if end == alice {
		cfg.Listen = listener{r.door.Listen(), func(c net.Conn) net.Conn { return r.wrap(alice, c) }}
	} else {
		cfg.Dial = func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", r.door.Address)
			if err != nil {
				return nil, err
			}
			return r.wrap(bob, c), nil
		}
	}
	return cfg
}

// open opens an end.
func (r *rig) open(end int) *distill.Link {
	r.t.Helper()
	l, err := distill.Open(r.config(end))
	if err != nil {
		r.t.Fatal(err)
	}
	r.links[end] = l
	r.t.Cleanup(func() { _ = l.Close() })
	return l
}

// both opens both ends.
func (r *rig) both() (a, b *distill.Link) {
	r.t.Helper()
	a = r.open(alice)
	return a, r.open(bob)
}

func all(uint64) bool { return true }

func from(seq uint64) func(uint64) bool { return func(s uint64) bool { return s >= seq } }

func next(t testing.TB, l *distill.Link, want func(uint64) bool) quantum.KeyBlock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	b, err := l.Next(ctx, want)
	if err != nil {
		t.Fatalf("%v; status %+v", err, l.Status())
	}
	return b
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("never: " + what)
		}
	}
}

func same(t testing.TB, a, b quantum.KeyBlock) {
	t.Helper()
	if a.Seq != b.Seq || a.ID != b.ID || a.Round != b.Round || a.Class != b.Class || a.Bound != b.Bound || !a.ProducedAt.Equal(b.ProducedAt) || !a.Key.Equal(b.Key) {
		t.Fatalf("the ends disagree on block %d", a.Seq)
	}
}
