package cvqkd

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// batchSymbols is how many symbols go in one message of the receiver.
const batchSymbols = 1 << 17

// maxEvents bounds a round of the event level in symbols: 2³⁰.
const maxEvents = 1 << 30

// Protocol is one end of a simulated link at the event level. The receiver of
// the light has the role Alice: its values are the reference of reconciliation
// (reverse), without which more than 3 dB of loss leave no key. The sender has
// the role Bob.
//
// What an eavesdropper does shows at the receiver's end, where the light is
// measured; the sender's end takes the same attacks and notices nothing. Under
// intercept-resend she measures that fraction of symbols by heterodyne detection and
// sends new ones: 2 SNU of excess noise at strength 1. Under noise she adds with
// probability strength/100 a flash of thermal light of 25 photons.
type Protocol struct {
	*events.Target

	dev   Device
	setup distill.Setup
	t     float64 // true transmittance, which only the simulated world knows
	codes codes

	margin float64 // that the codes need below beta, as learnt; of the Sift under way

	life context.Context
	end  context.CancelFunc

	mu       sync.Mutex
	progress distill.Progress
}

var _ distill.Runnable = Device{}

var _ interface {
	distill.Protocol
	quantum.Attackable
} = (*Protocol)(nil)

// Protocol opens one end, implementing distill.Runnable. Error: Invalid, where
// parameters are out of range, there is no finite block, a block is shorter than
// four frames, or the channel gives more information for each value than binary
// codes carry.
func (d Device) Protocol(s distill.Setup) (distill.Protocol, error) {
	const op = "cvqkd.Protocol"
	if err := d.check(op, s.Channel); err != nil {
		return nil, err
	}
	if s.Role > distill.Bob {
		return nil, qsc.E(op, qsc.Invalid, "", "no role of number %d", s.Role)
	}
	q := float64(d.quadratures())
	if d.Block == 0 || d.Block > maxEvents || (1-d.Estimate)*q*float64(d.Block) < 4*float64(d.frame()) {
		return nil, qsc.E(op, qsc.Invalid, "", "events need a block of at most 2^30 symbols that fills four frames or more; this device has block %d and frame_bits %d", d.Block, d.frame())
	}
	t := d.transmittance(s.Channel)
	snr := d.snr(d.linear(t, d.Xi, 1))
	if rate, most := d.Beta*math.Log1p(snr)/(2*math.Ln2), ceiling(snr); rate >= most {
		return nil, qsc.E(op, qsc.Invalid, "", "beta asks for %.3f bits of each value where one bit in eight dimensions carries at most %.3f: choose a lower v_a or beta, or use this device at the count level", rate, most)
	}
	tap := events.NewTarget("cvqkd.Attack", "against continuous variables here", quantum.InterceptResend, quantum.Noise)
	p := &Protocol{Target: tap, dev: d, setup: s, t: t, codes: codes{n: d.frame()}}
	p.life, p.end = context.WithCancel(context.Background())
	return p, nil
}

// Progress implements distill.Protocol.
func (p *Protocol) Progress() distill.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.progress
}

// Close stops a Sift that is under way with Unreachable.
func (p *Protocol) Close() error {
	p.end()
	return nil
}

// round is one end's view of a block under way.
type round struct {
	*Protocol
	w     distill.Wire
	start distill.Start
	tests int64 // values disclosed
	sum   sums
	bits  []uint64 // the raw key so far, whole frames
	leak  int64
}

// counts are what Length rests on.
type counts struct {
	symbols int64
	sums    sums
}

// Sift implements distill.Protocol: a block of symbols, sifted, estimated and
// reconciled while it comes in.
func (p *Protocol) Sift(ctx context.Context, w distill.Wire, start distill.Start) (*distill.Sifted, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	r := &round{Protocol: p, w: w, start: start}
	run := r.send
	if p.setup.Role == distill.Alice {
		run = r.receive
	}
	res, err := run(ctx)
	if err != nil && p.life.Err() != nil {
		err = qsc.E("cvqkd.Sift", qsc.Unreachable, "", "the device is closed")
	}
	if err != nil {
		p.alarm(err)
		return nil, err
	}
	n := p.dev.frame()
	return &distill.Sifted{
		Bits: distill.Bits{W: r.bits, N: res.frames * n}, Agreed: true, Frame: n,
		Failed: res.failed, Leak: r.leak, Errors: res.errors,
		Until:   start.At.Add(p.after(p.dev.Block)),
		Private: counts{p.dev.Block, res.sums},
	}, nil
}

// after is the device's time for a number of symbols.
func (p *Protocol) after(symbols int64) time.Duration {
	return events.Seconds(float64(symbols) / p.dev.Clock)
}

// batches calls f for each run of symbols once the device would have it.
func (r *round) batches(ctx context.Context, f func(index, symbols int) error) error {
	total := r.dev.Block
	for from := int64(0); from < total; from += batchSymbols {
		n := min(total-from, batchSymbols)
		if err := events.Await(ctx, "cvqkd.Sift", r.setup, r.start.At.Add(r.after(from+n))); err != nil {
			return err
		}
		if err := f(int(from/batchSymbols), int(n)); err != nil {
			return err
		}
		r.advance(from + n)
	}
	return nil
}

func (p *Protocol) advance(symbols int64) {
	d := p.dev
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress = distill.Progress{
		Fraction: float64(symbols) / float64(d.Block),
		Left:     p.after(d.Block - symbols),
		Sifted:   qsc.BitRate(d.Clock * (1 - d.Estimate) * float64(d.quadratures())),
	}
}

// alarm keeps in words what stopped a block, where it is the channel's fault.
func (p *Protocol) alarm(err error) {
	if !qsc.IsKind(err, qsc.Noisy) && !qsc.IsKind(err, qsc.Scarce) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress.Alarm = err.Error()
}

// hopeless is the error of a verdict, the same at both ends.
func hopeless(v verdict) error {
	if v == tooScarce {
		return qsc.E("cvqkd.Sift", qsc.Scarce, "", "no signal stands out of the noise: is the fibre cut or the loss too great?")
	}
	return qsc.E("cvqkd.Sift", qsc.Noisy, "", "the channel's excess noise leaves no key: look for stray light, a drifting local oscillator or an eavesdropper")
}
