package events

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// State is how far Bob's end is with a block.
type State struct {
	Have, Want int     // bits of key basis, or whatever the block is counted by
	QBER       float64 // of the disclosed bits, 0 to 1
	Hopeless   bool    // the error rate leaves no hope of key
}

// Observer is Bob's part of a protocol.
type Observer interface {
	// Observe fills in what was detected in the pulses of b (Batch.Draw): at most
	// MaxEvents, and then b ends behind the last.
	Observe(b *Batch)
	// Answered takes Alice's answer to b. Error: Corrupt.
	Answered(b *Batch, answer []byte) error
	// Report returns the counts so far, for Alice.
	Report() []byte
	State() State
}

// Answerer is Alice's part.
type Answerer interface {
	// Answer returns what she says of the detections of b. Error: Corrupt.
	Answer(b *Batch) ([]byte, error)
	// Report takes Bob's counts so far. Error: Corrupt.
	Report(report []byte) error
	State() State
}

// Run is the frame of one block.
type Run struct {
	Setup    distill.Setup
	Start    distill.Start
	Clock    uint64        // pulses in a second
	Rate     float64       // detections expected in each pulse
	Patience time.Duration // of device time; then the block ends as it is
	MaxReply int           // bytes of Alice's answer to a batch
	Meter    *Meter
}

// The bounds of a batch in time and detections.
const (
	batchTime   = 200 * time.Millisecond
	batchEvents = 1 << 14
)

func (r *Run) first() uint64 { return PulseAt(r.Clock, r.Start.At.Sub(r.Setup.World.Start)) }

func (r *Run) until(pulse uint64) time.Time {
	return r.Setup.World.Start.Add(TimeOf(r.Clock, pulse))
}

// step returns how many pulses a batch has: few enough detections for a message,
// and little enough time to be told at once where somebody waits.
func (r *Run) step() uint64 {
	n := min(batchEvents/max(r.Rate, 1e-15), float64(r.Clock)*3600)
	if r.Setup.Pace {
		n = min(n, batchTime.Seconds()*float64(r.Clock))
	}
	return max(uint64(n), 1)
}

// Observe is Bob's end: it gathers detections until the block is full, and tells
// Alice of each batch. It returns when the data end. Errors: Scarce when patience
// ended with less than a tenth of the block, Noisy, and those of w.
func (r *Run) Observe(ctx context.Context, w distill.Wire, o Observer) (time.Time, error) {
	from, first := r.first(), r.first()
	t := told{}
	for {
		t.verdict = r.judge(o.State(), from-first)
		t.Batch = Batch{From: from, To: from}
		t.report = o.Report()
		if t.verdict == goOn {
			t.To = from + r.step()
			if err := r.wait(ctx, t.To); err != nil {
				return time.Time{}, err
			}
			o.Observe(&t.Batch)
		}
		if err := w.Send(ctx, TypeBatch, t.marshal()); err != nil {
			return time.Time{}, err
		}
		if t.verdict != goOn {
			return r.until(from), r.fault(t.verdict)
		}
		answer, err := w.Receive(ctx, TypeAnswer, r.MaxReply)
		if err != nil {
			return time.Time{}, err
		}
		if err := o.Answered(&t.Batch, answer); err != nil {
			return time.Time{}, err
		}
		from = t.To
		r.Meter.note(o.State(), r.until(from).Sub(r.Start.At))
	}
}

// Follow is Alice's end of Observe. Its errors are Bob's, and Corrupt.
func (r *Run) Follow(ctx context.Context, w distill.Wire, a Answerer) (time.Time, error) {
	from := r.first()
	for {
		msg, err := w.Receive(ctx, TypeBatch, distill.MaxMessage)
		if err != nil {
			return time.Time{}, err
		}
		t, err := parse(msg)
		if err != nil {
			return time.Time{}, err
		}
		if t.From != from {
			return time.Time{}, corrupt("a batch begins at pulse %d, not %d", t.From, from)
		}
		if err := r.sent(ctx, t); err != nil {
			return time.Time{}, err
		}
		if err := a.Report(t.report); err != nil {
			return time.Time{}, err
		}
		if t.verdict != goOn {
			return r.until(from), r.fault(t.verdict)
		}
		answer, err := a.Answer(&t.Batch)
		if err != nil {
			return time.Time{}, err
		}
		if err := w.Send(ctx, TypeAnswer, answer); err != nil {
			return time.Time{}, err
		}
		from = t.To
		r.Meter.note(a.State(), r.until(from).Sub(r.Start.At))
	}
}

// ahead is how far Bob's clock may go before Alice's.
const ahead = time.Minute

// sent returns once all pulses of a batch have left Alice, so that nobody who speaks in
// Bob's place learns her choices for those to come. Error: Corrupt for a batch that
// is longer than Bob makes them, or of times that she will not come to soon: nobody
// vouches for it yet, and her next block begins behind it.
func (r *Run) sent(ctx context.Context, t *told) error {
	if t.To-t.From > 2*r.step() {
		return corrupt("a batch of %d pulses, at most %d are told of at once", t.To-t.From, r.step())
	}
	if left := r.until(t.To).Sub(now(r.Setup)); r.Setup.Pace && left > ahead {
		return corrupt("a batch ends %v from now: set the two ends' clocks right", left.Round(time.Second))
	}
	return r.wait(ctx, t.To)
}

// judge says whether the block is at its end.
func (r *Run) judge(s State, pulses uint64) verdict {
	switch {
	case s.Hopeless:
		return noisy
	case s.Have >= s.Want:
		return full
	case TimeOf(r.Clock, pulses) < r.Patience:
		return goOn
	case s.Have >= s.Want/10 && s.Have > 0:
		return full
	}
	return scarce
}

// fault is the error that both ends give a block up with, and raises the alarm.
func (r *Run) fault(v verdict) (err error) {
	switch v {
	case scarce:
		err = qsc.E("events.Run", qsc.Scarce, "", "too little was detected in %v: look at the fibre's loss and at the detectors", r.Patience)
	case noisy:
		err = qsc.E("events.Run", qsc.Noisy, "", "the error rate leaves no key: look for stray light, drift or somebody in the middle")
	default:
		return nil
	}
	r.Meter.mu.Lock()
	defer r.Meter.mu.Unlock()
	r.Meter.p.Alarm = err.Error()
	return err
}

// wait returns once the device has sent the pulses before a number.
func (r *Run) wait(ctx context.Context, pulse uint64) error {
	return Await(ctx, "events.Run", r.Setup, r.until(pulse))
}

// Stream is the world's random stream for a purpose in this round alone.
func (r *Run) Stream(purpose string) *rand.Rand {
	return Stream(r.Setup.World, fmt.Sprintf("%s/%d/%d", purpose, r.Start.Round, r.Start.At.UnixNano()))
}

// Meter keeps a protocol's progress for any goroutine that asks.
type Meter struct {
	mu sync.Mutex
	p  distill.Progress
}

// note takes a state that was reached after some time of gathering.
func (m *Meter) note(s State, took time.Duration) {
	p := distill.Progress{QBER: s.QBER}
	if s.Want > 0 {
		p.Fraction = min(float64(s.Have)/float64(s.Want), 1)
	}
	if took > 0 {
		p.Sifted = qsc.BitRate(float64(s.Have) / took.Seconds())
	}
	if p.Sifted > 0 {
		p.Left = time.Duration(float64(max(s.Want-s.Have, 0)) / float64(p.Sifted) * float64(time.Second))
	}
	m.mu.Lock()
	m.p = p
	m.mu.Unlock()
}

// Progress returns what was noted last.
func (m *Meter) Progress() distill.Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.p
}
