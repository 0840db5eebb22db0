package bb84

import (
	"context"
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// siftAlice answers Bob's clicks until the block is full. After a message of
// clicks that is not the last of a window another always follows, so that Bob
// need not wait for answers.
func (e *end) siftAlice(ctx context.Context, w distill.Wire, first uint64) (*block, verdict, error) {
	s := &sender{src: e.src, block: block{first: first, next: first}}
	st := stateMore
	for st == stateMore {
		h, err := hear(ctx, w)
		if err != nil {
			return nil, verdict{}, err
		}
		switch {
		case h.flags&flagNone != 0:
			if err := w.Send(ctx, typeKept, new(kept).append(nil, stateScarce)); err != nil {
				return nil, verdict{}, err
			}
			return &s.block, verdict{}, farewell(ctx, w, noLight())
		case h.from < s.next || h.from > s.next && (s.clicked > 0 || e.link.Window == nil):
			return nil, verdict{}, corrupt("clicks from pulse %d on, pulse %d comes next", h.from, s.next)
		}
		if err := e.sent(ctx, h.from, h.to); err != nil {
			return nil, verdict{}, err
		}
		if err := s.take(&h); err != nil {
			return nil, verdict{}, err
		}
		st = e.judge(&s.block, h.flags&flagLast != 0)
		e.out = s.kept.append(e.out[:0], st)
		if err := w.Send(ctx, typeKept, e.out); err != nil {
			return nil, verdict{}, err
		}
		e.advance(&s.block, 0, math.MaxUint64)
		if st != stateMore && h.flags&flagLast == 0 {
			if h, err = hear(ctx, w); err == nil {
				err = e.sent(ctx, h.from, h.to)
			}
			if err != nil {
				return nil, verdict{}, err
			}
			s.next = max(s.next, h.to) // on its way already, and lost
		}
	}
	if st == stateScarce {
		return &s.block, verdict{}, farewell(ctx, w, scarce(&s.block, e.device.Clock))
	}
	v, err := e.rule(ctx, w, &s.block)
	if err == nil && v.word != rulingGo {
		err = farewell(ctx, w, v.err())
	}
	return &s.block, v, err
}

// ahead is how far Bob's clock may go before Alice's.
const ahead = time.Minute

// sent returns once the pulses that clicks are of have left Alice, so that nobody who
// speaks in Bob's place learns her settings of those to come. Error: Corrupt for a
// stretch that is longer than Bob makes them, or of times that she will not come to
// soon: nobody vouches for it yet, and her next block begins behind it.
func (e *end) sent(ctx context.Context, from, to uint64) error {
	if to-from > 2*e.stretch() {
		return corrupt("clicks of %d pulses at once", to-from)
	}
	if left := e.setup.World.Start.Add(e.after(to)).Sub(e.setup.Now()); e.setup.Pace && left > ahead {
		return corrupt("clicks of pulses that leave in %v: set the two ends' clocks right", left.Round(time.Second))
	}
	return e.wait(ctx, to)
}

// farewell gives a block up with an error once Bob knows: who goes first may take
// the connection along.
func farewell(ctx context.Context, w distill.Wire, why error) error {
	_, _ = w.Receive(ctx, typeBye, 0) // he is gone, or he knows
	return why
}

// bye is Bob's side of it.
func bye(ctx context.Context, w distill.Wire, why error) error {
	_ = w.Send(ctx, typeBye, nil) // she gives up in any case
	return why
}

// hear receives a message of clicks.
func hear(ctx context.Context, w distill.Wire) (heard, error) {
	msg, err := w.Receive(ctx, typeClicks, maxClicksMessage)
	if err != nil {
		return heard{}, err
	}
	return parseClicks(msg)
}

// judge says whether the block is complete.
func (e *end) judge(b *block, last bool) state {
	n := b.key.len()
	switch {
	case last && n < LeastSifted:
		return stateScarce
	case last || n >= maxBlock-maxClicks:
		return stateFull
	case e.link.Window != nil:
		return stateMore
	case n >= int(e.device.Block):
		return stateFull
	case b.next-b.first > patience*e.fill:
		return stateScarce
	}
	return stateMore
}

// rule takes Bob's errors of the test basis and says whether to go on.
func (e *end) rule(ctx context.Context, w distill.Wire, b *block) (verdict, error) {
	msg, err := w.Receive(ctx, typeTally, tallySize)
	if err != nil {
		return verdict{}, err
	}
	t, err := parseTally(msg)
	if err != nil {
		return verdict{}, err
	}
	for k, n := range t.wrong {
		if n > uint64(b.counts[0][k]) {
			return verdict{}, corrupt("%d errors among %d bits of the test basis", n, b.counts[0][k])
		}
		b.wrong[k] = int64(n)
	}
	out := e.decide(b, t.blinded).append(nil)
	if err := w.Send(ctx, typeVerdict, out); err != nil {
		return verdict{}, err
	}
	return parseVerdict(out) // rounded, as Bob has it
}

// decide: an error rate is too high when no reconciliation, not even a perfect
// one, would leave key, and it is well above what the devices promise.
func (e *end) decide(b *block, blinded bool) verdict {
	c := b.observed(e.device)
	q, n := ratio(sum(c.TestErr), sum(c.Test)), sum(c.Key)
	e.mu.Lock()
	last, sure := e.seen.guess, e.seen.sure
	e.mu.Unlock()
	v := verdict{qber: min(max(q, leastQBER), 0.5)}
	if spread := math.Sqrt(v.qber / max(sum(c.Test), 1)); sum(c.Test) == 0 || sure && math.Abs(q-last) < 4*spread {
		v.qber = last // counted over many more bits
	}
	c.KeyErr, c.Pooled, c.Leak = [3]float64{v.qber * n}, true, tails.Entropy(v.qber)*n
	switch {
	case blinded:
		v.word = rulingBlinded
	case e.device.secret(c).Bits <= 0 && v.qber > max(0.05, 2*e.device.EMis):
		v.word = rulingNoisy
	}
	return v
}

// siftBob detects and tells, one message ahead of the answers.
func (e *end) siftBob(ctx context.Context, w distill.Wire, first uint64) (*block, verdict, error) {
	from, to, ok := e.window(first)
	if !ok {
		return &block{first: first, next: first}, verdict{}, e.dark(ctx, w, first)
	}
	d := &detection{end: e, wire: w, to: to, receiver: newReceiver(e.setup.World, e.device, from, e.conditions)}
	l := &listener{block{first: first, next: from}}
	now, ahead := new(clicks), new(clicks)
	if err := d.tell(ctx, now); err != nil {
		return nil, verdict{}, err
	}
	st := stateMore
	for st == stateMore {
		last := now.last
		if !last {
			if err := d.tell(ctx, ahead); err != nil {
				return nil, verdict{}, err
			}
		}
		var err error
		if st, err = e.settle(ctx, w, l, now); err != nil {
			return nil, verdict{}, err
		}
		if last && st == stateMore {
			return nil, verdict{}, corrupt("more clicks wanted than the window has")
		}
		e.advance(&l.block, from, to)
		if !last {
			now, ahead = ahead, now
		}
	}
	l.next = max(l.next, now.to) // what was on its way is lost
	if st == stateScarce {
		return &l.block, verdict{}, bye(ctx, w, scarce(&l.block, e.device.Clock))
	}
	v, err := e.confess(ctx, w, l, d.receiver)
	if err == nil && v.word != rulingGo {
		err = bye(ctx, w, v.err())
	}
	return &l.block, v, err
}

// window is the stretch of pulses that a block may come of, from first on.
func (e *end) window(first uint64) (from, to uint64, ok bool) {
	if e.link.Window == nil {
		return first, math.MaxUint64, true
	}
	start, stop, ok := e.link.Window(e.after(first))
	return max(first, e.pulseAt(start)), max(first, e.pulseAt(stop)), ok
}

// dark tells Alice that there is no window any more.
func (e *end) dark(ctx context.Context, w distill.Wire, first uint64) error {
	c := clicks{from: first, to: first, none: true}
	if err := w.Send(ctx, typeClicks, c.append(nil)); err != nil {
		return err
	}
	if _, err := w.Receive(ctx, typeKept, keptHeader); err != nil {
		return err
	}
	return bye(ctx, w, noLight())
}

func noLight() error {
	return qsc.E("bb84.Sift", qsc.Scarce, "", "no light any more: the last window is over")
}

// detection is Bob's measuring of one block.
type detection struct {
	*end
	*receiver
	wire distill.Wire
	to   uint64 // the window's end
}

// tell detects the next stretch, waits until it is over and tells Alice.
func (d *detection) tell(ctx context.Context, c *clicks) error {
	d.eavesdrop(d.end.target.Attacked())
	c.reset(d.pos)
	d.run(min(d.pos+d.stretch(), d.to), c)
	c.last = c.to == d.to
	if err := d.wait(ctx, c.to); err != nil {
		return err
	}
	d.out = c.append(d.out[:0])
	return d.wire.Send(ctx, typeClicks, d.out)
}

// stretch is how many pulses one message is about: 1/64 of a block, but at most a
// quarter of a second at the device's pace.
func (e *end) stretch() uint64 {
	n := max(e.fill/64, 1)
	if quarter := uint64(e.device.Clock/4) + 1; e.link.Window != nil || e.setup.Pace && n > quarter {
		n = quarter
	}
	return n
}

// conditions are what Bob's receiver works under from a pulse on.
func (e *end) conditions(pulse uint64) conditions {
	door := e.device.receiverEta()
	if e.link.Loss == nil {
		return conditions{eta: door * math.Pow(10, -e.loss/10), dark: e.device.PDark, until: math.MaxUint64}
	}
	loss, background, hold := e.link.Loss(e.after(pulse))
	held := max(float64(hold)/1e9*e.device.Clock, 1)
	return conditions{
		eta: door * math.Pow(10, -max(loss, 0)/10), dark: e.device.PDark + max(background, 0),
		until: pulse + uint64(min(held, maxCount)),
	}
}

// settle takes Alice's answer to some clicks.
func (e *end) settle(ctx context.Context, w distill.Wire, l *listener, c *clicks) (state, error) {
	msg, err := w.Receive(ctx, typeKept, maxKeptMessage)
	if err != nil {
		return 0, err
	}
	a, err := parseKept(msg, len(c.pulse))
	if err != nil {
		return 0, err
	}
	return a.state, l.take(c, &a, e.device.Decoys)
}

// confess tells Alice of errors and blindness and takes her verdict.
func (e *end) confess(ctx context.Context, w distill.Wire, l *listener, r *receiver) (verdict, error) {
	t := tally{blinded: e.blinded(r)}
	for k, n := range l.wrong {
		t.wrong[k] = uint64(n)
	}
	if err := w.Send(ctx, typeTally, t.append(nil)); err != nil {
		return verdict{}, err
	}
	msg, err := w.Receive(ctx, typeVerdict, verdictSize)
	if err != nil {
		return verdict{}, err
	}
	return parseVerdict(msg)
}

// blinded reports whether double clicks are missing: fewer than honest light would
// give by a fifth and five standard deviations. Too few are kept for the next
// block.
func (e *end) blinded(r *receiver) bool {
	e.doubles += float64(r.doubles)
	e.expected += r.expected
	missing := e.doubles < 0.8*e.expected-5*math.Sqrt(e.expected)
	if missing || e.expected > 300 {
		e.doubles, e.expected = 0, 0
	}
	return missing
}
