package timetag

import (
	"context"
	"math"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// answer is Bob's end of a round: he finds Alice's events among his.
func (p *Protocol) answer(ctx context.Context, w distill.Wire, b *block) (verdict, error) {
	for heard := false; ; heard = true {
		msg, err := w.Receive(ctx, typeTimes, distill.MaxMessage)
		if err != nil {
			return 0, err
		}
		t, err := parseTold(msg)
		if err != nil {
			return 0, err
		}
		if err := p.follows(b, t, heard); err != nil {
			return 0, err
		}
		b.counts.Errors = t.counts.Errors
		if t.verdict != goOn {
			return t.verdict, p.agrees(b, t)
		}
		times, err := ParseTimes(t.packet)
		if err != nil {
			return 0, err
		}
		if times.Epoch != t.epoch || !times.Universal || times.Width != 1 || times.Protocol != protocolBB84 {
			return 0, corrupt("the packet of epoch %v is of another epoch or protocol", t.epoch)
		}
		m, err := p.match(ctx, times, b)
		if err != nil {
			return 0, err
		}
		if m.state == locked { // only where events of his own stand behind it: nobody vouches for the number yet
			p.begun, p.done = true, t.epoch+1
		}
		if err := w.Send(ctx, typeMatches, m.marshal()); err != nil {
			return 0, err
		}
		p.sweep(b.next)
		b.next++
		b.searching = m.state == searching
		p.note(b, nil)
	}
}

// follows checks that a message is about the epoch that comes next. The round's first
// may be later than asked for: Alice may have told of more, in a round that failed.
func (p *Protocol) follows(b *block, t *told, heard bool) error {
	if !heard && int32(t.epoch-b.first) >= 0 {
		b.first, b.next = t.epoch, t.epoch
	}
	if t.epoch != b.next {
		return corrupt("epoch %v comes where %v was expected", t.epoch, b.next)
	}
	return nil
}

// agrees checks that Alice counts as he does; only she sees the errors.
func (p *Protocol) agrees(b *block, t *told) error {
	if t.counts.Coincidences != b.counts.Coincidences || t.counts.Tests != b.counts.Tests {
		return corrupt("the other end counts otherwise")
	}
	return nil
}

// match finds the coincidences of an epoch, sifts them and notes them.
func (p *Protocol) match(ctx context.Context, t *Times, b *block) (*matches, error) {
	k := &p.tracker
	from, to := k.span(t.Epoch)
	missing, err := k.fill(ctx, p, from, to)
	switch {
	case err != nil:
		return nil, err
	case missing:
		return &matches{state: dry}, nil
	case !k.locked:
		k.gather(t, p.cfg.Acquire, ticks(p.cfg.Window))
		return &matches{state: searching}, nil
	}
	m := &matches{state: locked}
	var bits []uint8
	alice := moments(t)
	k.pair(alice, t.Epoch, ticks(p.cfg.Window), func(i, j int) {
		m.coincidences++
		basis, value := k.basis[j], k.value[j]
		if basis != t.Told[i] {
			return
		}
		if p.cfg.Opposite[basis] {
			value ^= 1
		}
		m.same = append(m.same, i)
		if basis == 0 {
			b.key.Add(uint64(value))
		} else {
			bits = append(bits, value)
		}
	})
	m.tests = events.Pack(nil, len(bits), func(i int) bool { return bits[i] == 1 })
	b.counts.Coincidences += int64(m.coincidences)
	b.counts.Tests += int64(len(bits))
	return m, nil
}

func moments(t *Times) []moment {
	out := make([]moment, len(t.At))
	for i, at := range t.At {
		out[i] = t.Epoch.start() + moment(at)
	}
	return out
}

// tracker is what Bob's end knows of the two clocks, and his events that may still be
// matched.
type tracker struct {
	locked bool
	clock  clock
	alice  [][]moment // epochs gathered for the search
	mine   [][]moment

	from, to Epoch // epochs that are loaded: from ≤ e < to
	loaded   bool
	at       []moment
	basis    []uint8
	value    []uint8
	used     moment // events up to it were matched or passed by
	any      bool

	found, chance float64 // coincidences, and those that chance gives, of the last epochs
	epochs        int
}

// span is which of Bob's epochs are needed for one of Alice's.
func (k *tracker) span(e Epoch) (from, to Epoch) {
	if !k.locked {
		return e, e + 1
	}
	first := e.start()
	last := first + 1<<epochBits - 1
	return (k.hers(first) - reach).epoch(), (k.hers(last) + reach).epoch() + 1
}

// hers is the moment of Bob's clock at one of Alice's.
func (k *tracker) hers(m moment) moment {
	return m + moment(int64(math.Round(k.clock.ahead(m))))
}

// fill loads the epochs asked for and drops those before. missing is whether one of
// them did not come.
func (k *tracker) fill(ctx context.Context, p *Protocol, from, to Epoch) (missing bool, err error) {
	if !k.loaded || int32(from-k.to) > 0 || int32(k.from-from) > 0 {
		k.drop(len(k.at))
		k.from, k.to, k.loaded = from, from, true
	}
	cut := 0
	for cut < len(k.at) && k.at[cut].since(from.start()) < 0 {
		cut++
	}
	k.drop(cut)
	k.from = from
	for ; int32(to-k.to) > 0; k.to++ {
		c, err := p.load(ctx, k.to)
		if err != nil {
			return false, err
		}
		if c == nil {
			return true, nil
		}
		for i, at := range c.at {
			k.at = append(k.at, k.to.start()+moment(at))
			k.basis, k.value = append(k.basis, c.basis[i]), append(k.value, c.value[i])
		}
		clear(c.value)
	}
	return false, nil
}

// drop forgets the first n events.
func (k *tracker) drop(n int) {
	k.at = append(k.at[:0], k.at[n:]...)
	k.basis = append(k.basis[:0], k.basis[n:]...)
	rest := copy(k.value, k.value[n:])
	clear(k.value[rest:])
	k.value = k.value[:rest]
}

// gather keeps an epoch for the search of the offset, and searches once there are
// enough.
func (k *tracker) gather(t *Times, enough int, window int64) {
	if n := len(k.alice); n > 0 && len(t.At) > 0 && t.Epoch != k.alice[n-1][0].epoch()+1 {
		k.alice, k.mine = nil, nil // epochs in a row are needed
	}
	if len(t.At) == 0 || len(k.at) == 0 {
		return
	}
	k.alice = append(k.alice, moments(t))
	k.mine = append(k.mine, append([]moment(nil), k.at...))
	if len(k.alice) < enough {
		return
	}
	c, ok := search(k.alice, k.mine, window)
	k.clock = c
	k.locked, k.alice, k.mine = ok, nil, nil
	k.found, k.chance, k.epochs = 0, 0, 0
}

// lookBack is how many epochs the lock is judged by.
const lookBack = 4

// pair matches an epoch of Alice's with Bob's events that are not used yet, follows
// the clocks by what it finds, and gives the lock up when for a while there has been
// nothing but chance.
func (k *tracker) pair(alice []moment, e Epoch, window int64, found func(i, j int)) {
	first := 0
	for first < len(k.at) && k.any && k.at[first].since(k.used) <= 0 {
		first++
	}
	n, late, mid := 0, 0.0, e.start()+1<<(epochBits-1)
	pairs(alice, k.at, first, k.clock, window, func(i, j int, residual float64) {
		n++
		late += residual
		k.used, k.any = k.at[j], true
		found(i, j)
	})
	mine := 0
	for _, at := range k.at {
		if d := at.since(e.start()); d >= 0 && d < 1<<epochBits {
			mine++
		}
	}
	chance := float64(len(alice)) * float64(mine) * float64(window+1) / (1 << epochBits)
	if float64(n) > 2*chance+10 {
		k.clock = k.clock.track(mid, late/float64(n))
	}
	k.found, k.chance, k.epochs = k.found+float64(n), k.chance+chance, k.epochs+1
	if k.epochs < lookBack {
		return
	}
	k.locked = k.found > k.chance+4*math.Sqrt(k.chance+1)
	k.found, k.chance, k.epochs = 0, 0, 0
}
