package distill_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// drain takes and erases everything that an end makes.
func drain(ctx context.Context, l *distill.Link) error {
	for {
		b, err := l.Next(ctx, all)
		if err != nil {
			return nil // the context is over
		}
		b.Key.Zeroise()
	}
}

// processor is the processor time that this process has used.
func processor(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// agreed is a device whose ends have reconciled already.
type agreed struct{ distill.Protocol }

func (a agreed) Sift(ctx context.Context, w distill.Wire, at distill.Start) (*distill.Sifted, error) {
	x, err := a.Protocol.Sift(ctx, w, at)
	if err == nil {
		x.Agreed, x.Frame = true, 1<<16
	}
	return x, err
}

// BenchmarkStream distils a sifted stream at 2 % error over TCP, both ends in this
// process. Mbit/s are of sifted bits; those per second of processor time, both ends
// together, do not depend on what else the machine does.
func BenchmarkStream(b *testing.B) {
	for _, c := range []struct {
		name   string
		bits   int
		agreed bool // nothing is left to correct: the engine's own cost
	}{{"2^22", 1 << 22, false}, {"2^24", 1 << 24, false}, {"2^25", 1 << 25, false}, {"agreed 2^24", 1 << 24, true}} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b)
			if c.agreed {
				r.qber = 0
				r.protect = func(_ int, p distill.Protocol) distill.Protocol { return agreed{p} }
			}
			r.bits, r.block, r.frame = c.bits, 1<<16, 0
			ctx, cancel := context.WithCancel(b.Context())
			var g errgroup.Group
			x, y := r.both()
			g.Go(func() error { return drain(ctx, x) })
			g.Go(func() error { return drain(ctx, y) })
			rounds := func() int { return len(x.Records(1 << 20)) }
			until(b, "a first round", func() bool { return rounds() > 0 })
			begin, spent := rounds(), processor(b)
			b.SetBytes(int64(c.bits / 8))
			n := 0
			for b.Loop() {
				n++
				until(b, "a round", func() bool { return rounds() >= begin+n })
			}
			b.ReportMetric(float64(c.bits)*float64(rounds()-begin)/1e6/b.Elapsed().Seconds(), "Mbit/s")
			b.ReportMetric(float64(c.bits)*float64(rounds()-begin)/1e6/(processor(b)-spent).Seconds(), "Mbit/cpu-s")
			b.ReportMetric(x.Records(1)[0].Efficiency, "f")
			cancel()
			_ = g.Wait()
		})
	}
}
