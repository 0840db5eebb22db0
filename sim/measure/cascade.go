package measure

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bb84"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// CascadeRun is a reconciliation that was measured.
type CascadeRun struct {
	PerCore float64 // bits for each second of processor time, both ends' together
	F       float64 // disclosed over what Shannon asks for
	Wrong   int     // bits that differ afterwards
}

// warm keeps its memory from call to call, as that of a link does.
var warm = cascade.New(cascade.Config{})

// Cascade reconciles bits with random errors between two ends in this process.
func Cascade(ctx context.Context, bits int, qber float64) (CascadeRun, error) {
	alice, bob, wrong := noisy(bits, qber)
	a, b := make(chan parcel, 1<<10), make(chan parcel, 1<<10)
	begin := processorTime()
	var out [2]distill.Corrected
	g, ctx := errgroup.WithContext(ctx)
	for i, end := range []pipe{{a, b}, {b, a}} {
		g.Go(func() (err error) {
			out[i], err = warm.Reconcile(ctx, end, distill.Role(i), []distill.Bits{alice, bob}[i], float64(wrong)/float64(bits))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return CascadeRun{}, err
	}
	took := processorTime() - begin
	h := tails.Entropy(float64(wrong) / float64(bits))
	run := CascadeRun{PerCore: float64(bits) / took.Seconds(), F: float64(out[0].Leak) / (h * float64(bits))}
	for i, w := range out[0].Bits.W {
		if w != out[1].Bits.W[i] {
			run.Wrong++
		}
	}
	return run, nil
}

// noisy draws equal bits and puts errors into one copy.
func noisy(bits int, qber float64) (alice, bob distill.Bits, wrong int) {
	r := rand.New(rand.NewChaCha8([32]byte{2}))
	alice = distill.NewBits(bits)
	for i := range alice.W {
		alice.W[i] = r.Uint64()
	}
	if bits%64 != 0 {
		alice.W[len(alice.W)-1] &= 1<<(bits%64) - 1
	}
	bob = distill.Bits{W: slices.Clone(alice.W), N: bits}
	for at := gap(r, qber); at < bits; at += 1 + gap(r, qber) {
		bob.W[at>>6] ^= 1 << (at & 63)
		wrong++
	}
	return alice, bob, wrong
}

// gap is the number of right bits before the next wrong one.
func gap(r *rand.Rand, q float64) int { return int(math.Log(1-r.Float64()) / math.Log1p(-q)) }

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type parcel struct {
	typ byte
	msg []byte
}

// pipe is one end of a wire in memory.
type pipe struct {
	in  <-chan parcel
	out chan<- parcel
}

// Send implements distill.Wire.
func (p pipe) Send(ctx context.Context, typ byte, msg []byte) error {
	select {
	case p.out <- parcel{typ, slices.Clone(msg)}:
		return nil
	case <-ctx.Done():
		return qsc.E("measure.Send", qsc.Timeout, "", "%w", context.Cause(ctx))
	}
}

// Receive implements distill.Wire.
func (p pipe) Receive(ctx context.Context, typ byte, most int) ([]byte, error) {
	select {
	case m := <-p.in:
		if m.typ != typ || len(m.msg) > most {
			return nil, qsc.E("measure.Receive", qsc.Corrupt, "", "message %#x of %d bytes", m.typ, len(m.msg))
		}
		return m.msg, nil
	case <-ctx.Done():
		return nil, qsc.E("measure.Receive", qsc.Timeout, "", "%w", context.Cause(ctx))
	}
}

// RealtimeBB84 is how many times faster than the device one core simulates and
// sifts 1 GHz of decoy BB84 over 45 km of field fibre, both ends' work together.
func RealtimeBB84(seconds float64) (float64, error) {
	for _, p := range bb84.Presets() {
		if p.Name == "tokyo-45km" {
			d, ok := p.Device.(bb84.Device)
			if !ok {
				break
			}
			return bb84.Realtime(d, quantum.Channel{Loss: 14.5, Distance: 45}, seconds)
		}
	}
	return 0, qsc.E("measure.RealtimeBB84", qsc.NotFound, "", "the preset tokyo-45km is gone")
}
