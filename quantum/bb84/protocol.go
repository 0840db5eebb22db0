package bb84

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

// Link is a device pair and what changes with time between its ends. Times are
// since World.Start.
type Link struct {
	Device Device

	// Loss is the loss in dB, without the receiver, and what light from outside
	// adds to the dark count probability of each detector and gate, for a time from
	// t on. nil: Setup.Channel, and no such light. Bob alone calls it.
	Loss func(t time.Duration) (loss, background float64, hold time.Duration)

	// Window is the first time of light that ends after a moment; a block is then
	// what comes in one window. No window any more is Scarce. nil: there is always
	// light, and a block is Device.Block sifted bits. Bob alone calls it, but
	// whether it is nil must be the same at both ends.
	Window func(after time.Duration) (from, to time.Duration, ok bool)
}

// Protocol implements distill.Runnable. Alice transmits and is the reference.
func (d Device) Protocol(s distill.Setup) (distill.Protocol, error) {
	return NewProtocol(s, Link{Device: d})
}

// Bounds on one block at the event level.
const (
	maxBlock = 1 << 27 // sifted bits of the key basis
	patience = 4       // times the expected time until a block counts as scarce
)

// LeastSifted bits must come in a window; of fewer no key is made.
const LeastSifted = 1000

// NewProtocol opens one end of a link. It implements quantum.Attackable as well, at
// Bob's end, where the clicks are drawn. Error: Invalid.
func NewProtocol(s distill.Setup, l Link) (distill.Protocol, error) {
	d, err := l.Device.checked()
	if err != nil {
		return nil, err
	}
	if d.Block > maxBlock {
		return nil, qsc.E("bb84.NewProtocol", qsc.Invalid, "", "block is %d: at most %d bits can be distilled at once", d.Block, maxBlock)
	}
	loss, err := d.lossOf(s.Channel)
	if err != nil {
		return nil, err
	}
	e := &end{target: target(), device: d, setup: s, link: l, loss: loss, src: newSource(s.World, d)}
	if e.setup.Now == nil {
		e.setup.Now = time.Now
	}
	c, pulses := d.fill(loss)
	e.fill = uint64(min(pulses, maxCount/patience))
	e.seen.guess = min(max(ratio(sum(c.KeyErr), sum(c.Key)), leastQBER), 0.5)
	return e, nil
}

// end is one end of a link. Sift uses what stands above mu alone.
type end struct {
	target *events.Target

	device            Device
	setup             distill.Setup
	link              Link
	loss              float64 // dB, where link.Loss is nil
	src               source
	fill              uint64  // pulses expected for a block
	done              uint64  // pulses before this one are used
	doubles, expected float64 // double clicks not yet judged
	out               []byte

	mu   sync.Mutex
	seen struct {
		progress distill.Progress
		guess    float64 // error rate of the key basis, from the last block
		sure     bool    // it has been counted
	}
}

// leastQBER keeps reconciliation from being told that there are no errors.
const leastQBER = 1e-4

// Sift implements distill.Protocol.
func (e *end) Sift(ctx context.Context, w distill.Wire, start distill.Start) (*distill.Sifted, error) {
	first := max(e.pulseAt(start.At.Sub(e.setup.World.Start)), e.done)
	var b *block
	var v verdict
	var err error
	if e.setup.Role == distill.Alice {
		b, v, err = e.siftAlice(ctx, w, first)
	} else {
		b, v, err = e.siftBob(ctx, w, first)
	}
	if b != nil {
		e.done = max(e.done, b.next)
	}
	e.tell(v, err)
	if err != nil {
		return nil, err
	}
	return &distill.Sifted{Bits: b.bits(), QBER: v.qber, Until: e.timeOf(b.next), Private: b}, nil
}

func (v verdict) err() error {
	switch v.word {
	case rulingNoisy:
		return qsc.E("bb84.Sift", qsc.Noisy, "", "%.1f %% of the test basis's bits are wrong: look for light on the fibre, misalignment or an eavesdropper", 100*v.qber)
	case rulingBlinded:
		return qsc.E("bb84.Sift", qsc.Noisy, "", "far fewer double clicks than honest light gives: the detectors may be blinded, check their bias current")
	}
	return nil
}

func scarce(b *block, clock float64) error {
	return qsc.E("bb84.Sift", qsc.Scarce, "", "%d sifted bits of %d clicks in %.3g s: look whether the fibre is whole and the transmitter on",
		b.key.len(), b.clicked, float64(b.next-b.first)/clock)
}

// pulseAt is the first pulse at or after a time; timeOf is a time at or after which
// no earlier pulse lies.
func (e *end) pulseAt(t time.Duration) uint64 {
	return uint64(min(math.Ceil(max(float64(t), 0)*e.device.Clock/1e9), maxCount))
}

func (e *end) timeOf(pulse uint64) time.Time {
	return e.setup.World.Start.Add(e.after(pulse) + 1)
}

func (e *end) after(pulse uint64) time.Duration {
	return time.Duration(min(math.Ceil(float64(pulse)/e.device.Clock*1e9), math.MaxInt64/2))
}

// wait returns when the device's clock has come to a pulse.
func (e *end) wait(ctx context.Context, pulse uint64) error {
	return events.Await(ctx, "bb84.Sift", e.setup, e.setup.World.Start.Add(e.after(pulse)))
}

// Attack implements quantum.Attackable. Errors: Unsupported, at Alice's end too;
// Invalid.
func (e *end) Attack(a quantum.Attack) error {
	if e.setup.Role == distill.Alice {
		return qsc.E("bb84.Attack", qsc.Unsupported, "", "clicks are drawn at the other end: attack the link there")
	}
	return e.target.Attack(a)
}

func target() *events.Target {
	return events.NewTarget("bb84.Attack", "against pulses", quantum.InterceptResend, quantum.NumberSplitting, quantum.Blinding, quantum.Noise)
}

// Close implements distill.Protocol. There is nothing to release.
func (e *end) Close() error { return nil }

// Progress implements distill.Protocol.
func (e *end) Progress() distill.Progress {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen.progress
}

// advance notes how far the block is; to is the end of its window, if it has one.
func (e *end) advance(b *block, from, to uint64) {
	n, passed := float64(b.key.len()), float64(b.next-b.first)/e.device.Clock
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &e.seen.progress
	if passed > 0 {
		p.Sifted = qsc.BitRate(n / passed)
	}
	if to != math.MaxUint64 { // a window
		p.Fraction = min(float64(b.next-from)/float64(max(to-from, 1)), 1)
		p.Left = e.after(to - min(b.next, to))
		return
	}
	p.Fraction = min(n/float64(e.device.Block), 1)
	if n > 0 {
		p.Left = events.Seconds((float64(e.device.Block) - n) / n * passed)
	}
}

// tell notes what a block has shown.
func (e *end) tell(v verdict, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &e.seen.progress
	p.Fraction = 0
	if v.qber > 0 {
		p.QBER = v.qber
	}
	switch k := qsc.KindOf(err); {
	case err == nil:
		p.Alarm = ""
	case k == qsc.Noisy || k == qsc.Scarce:
		p.Alarm = err.Error()
	}
}
