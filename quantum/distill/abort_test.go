package distill_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// aborted waits until an end has given a round up for a reason.
func aborted(t *testing.T, l *distill.Link, kind qsc.Kind) {
	t.Helper()
	until(t, "an abort: "+kind.String(), func() bool { return l.Aborts()[kind.String()] > 0 })
}

// aborts is how many rounds an end has given up, for whatever reason.
func aborts(l *distill.Link) (n uint64) {
	for _, v := range l.Aborts() {
		n += v
	}
	return n
}

// recovers waits until both ends work again.
func recovers(t *testing.T, r *rig) {
	t.Helper()
	gather(t, r, newBook(), 3, never)
	for _, l := range r.links {
		until(t, "the alarm clears", func() bool { st := l.Status(); return st.Alarm == "" && st.Rate > 0 })
	}
}

// Too many errors leave no key, say so, and cost nothing that lasts.
func TestEavesdropper(t *testing.T) {
	for _, strength := range []float64{1, 0.45} {
		r, _ := small(t)
		a, b := r.both()
		recovers(t, r)
		if err := b.Attack(quantum.Attack{Kind: quantum.InterceptResend, Strength: strength}); err != nil {
			t.Fatal(err)
		}
		aborted(t, a, qsc.Keyless)
		aborted(t, b, qsc.Keyless)
		if st := b.Status(); st.Rate != 0 || st.Alarm == "" {
			t.Errorf("under attack: %+v", st)
		}
		again := b.Aborts()[qsc.Keyless.String()] + 1
		until(t, "a second attempt, which waits for the end of the last good round", func() bool { return b.Aborts()[qsc.Keyless.String()] > again })
		done := b.Records(1)[0].Round
		until(t, "more attempts", func() bool { return b.Aborts()[qsc.Keyless.String()] > again+1 })
		if got := b.Records(1)[0].Round; got != done {
			t.Errorf("round %d gave key under attack", got)
		}
		if err := b.Attack(quantum.Attack{Kind: quantum.InterceptResend}); err != nil {
			t.Fatal(err)
		}
		recovers(t, r)
	}
}

func TestAttackRefuses(t *testing.T) {
	r, _ := small(t)
	a, _ := r.both()
	for _, c := range []struct {
		attack quantum.Attack
		kind   qsc.Kind
	}{{quantum.Attack{Kind: quantum.Blinding, Strength: 1}, qsc.Unsupported}, {quantum.Attack{Kind: quantum.Tampering, Strength: 2}, qsc.Invalid}, {quantum.Attack{Kind: quantum.Noise, Strength: -1}, qsc.Invalid}} {
		if err := a.Attack(c.attack); !qsc.IsKind(err, c.kind) {
			t.Errorf("%v: %v", c.attack, err)
		}
	}
}

// Public messages changed at random never make the ends' key differ, and the link
// recovers.
func TestTampering(t *testing.T) {
	r, _ := small(t)
	a, b := r.both()
	k := newBook()
	gather(t, r, k, 3, never)
	for _, l := range r.links {
		if err := l.Attack(quantum.Attack{Kind: quantum.Tampering, Strength: 0.02}); err != nil {
			t.Fatal(err)
		}
	}
	gather(t, r, k, 1<<20, func() bool { return aborts(a) > 3 && aborts(b) > 3 })
	for _, l := range r.links {
		if err := l.Attack(quantum.Attack{Kind: quantum.Tampering}); err != nil {
			t.Fatal(err)
		}
	}
	gather(t, r, k, 10, never)
}

// A message changed on its way shows in the tag of its direction.
func TestChangedMessages(t *testing.T) {
	for _, c := range []struct {
		name string
		end  int // who sends it
		typ  byte
		at   int // byte of the payload
		kind qsc.Kind
		hurt int // who notices first
	}{
		{"seed", alice, tSeed, 100, qsc.Tampered, bob},
		{"count of errors", bob, tBad, 7, qsc.Tampered, alice},
		{"name of a block", alice, tLength, 30, qsc.Tampered, bob},
		{"length of the key", alice, tLength, 5, qsc.Corrupt, bob}, // far above his bound
		{"number of a block", bob, tReady, 33, qsc.Corrupt, alice},
		{"key of verification", alice, tHashes, 3, qsc.Keyless, alice},
		{"alice's tag", alice, tTag, 20, qsc.Tampered, bob},
		{"bob's tag", bob, tTag, 20, qsc.Tampered, alice},
		{"batch of a tag", bob, tTag, 0, qsc.Tampered, alice},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, p := small(t)
			p.set(func(end, _ int, typ byte, msg []byte) []byte {
				if end == c.end && typ == c.typ && binary.BigEndian.Uint64(msg[5:]) == 2 {
					msg[13+c.at] ^= 0x80
					c.end = -1 // once
				}
				return msg
			})
			k := newBook()
			r.both()
			gather(t, r, k, 6, never)
			aborted(t, r.links[c.hurt], c.kind)
			recovers(t, r)
		})
	}
}

// What an end has said in one round is of no use in another.
func TestReplay(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   int
		typ   byte
		round bool // the old message is given the new round's number
		hurt  int
	}{{"as it was", bob, tReady, false, alice}, {"with a new number", bob, tReady, true, alice}, {"a start", alice, tGo, true, bob}, {"a tag", bob, tTag, true, alice}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, p := small(t)
			var old []byte
			p.set(func(end, _ int, typ byte, msg []byte) []byte {
				if end != c.end || typ != c.typ {
					return msg
				}
				switch round := binary.BigEndian.Uint64(msg[5:]); {
				case round == 1:
					old = slices.Clone(msg)
				case round == 4 && old != nil:
					if c.round {
						copy(old[5:13], msg[5:13])
					}
					msg, old = old, nil
				}
				return msg
			})
			k := newBook()
			r.both()
			gather(t, r, k, 14, never)
			aborted(t, r.links[c.hurt], qsc.Replayed)
			recovers(t, r)
		})
	}
}

// A stranger who calls Alice, or ends that were not founded together, cost her no
// mask.
func TestStrangersSpendNothing(t *testing.T) {
	r, _ := small(t)
	if err := distill.Found([2]durable.FS{r.dirs[bob], durable.Mem(1 << 20)}, rand.Reader); err != nil {
		t.Fatal(err)
	}
	a, b := r.both()
	aborted(t, a, qsc.Tampered)
	if a.Tags() != distill.Founding || b.Tags() >= distill.Founding {
		t.Errorf("%d and %d tags are left", a.Tags(), b.Tags())
	}
	c, err := net.Dial("tcp", r.door.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(strings.Repeat("\xff", 100))); err != nil {
		t.Fatal(err)
	}
	aborted(t, a, qsc.Corrupt)
	if len(a.Records(10)) != 0 {
		t.Error("key came of it")
	}
}

// Two ends that are configured for different links part at once.
func TestConflict(t *testing.T) {
	r, _ := small(t)
	a := r.open(alice)
	cfg := r.config(bob)
	cfg.Epoch = 4
	b, err := distill.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	aborted(t, a, qsc.Conflict)
	aborted(t, b, qsc.Conflict)
}

// scarce is a device that sees too little for some rounds.
type scarce struct {
	distill.Protocol
	rounds *atomic.Int32
}

func (s scarce) Sift(ctx context.Context, w distill.Wire, at distill.Start) (*distill.Sifted, error) {
	x, err := s.Protocol.Sift(ctx, w, at)
	if err == nil && s.rounds.Add(-1) >= 0 {
		return nil, qsc.E("test", qsc.Scarce, "", "it is dark")
	}
	return x, err
}

func rounds(n int32) *atomic.Int32 {
	left := new(atomic.Int32)
	left.Store(n)
	return left
}

func TestScarce(t *testing.T) {
	r, _ := small(t)
	r.protect = func(_ int, p distill.Protocol) distill.Protocol { return scarce{p, rounds(2)} }
	a, b := r.both()
	aborted(t, a, qsc.Scarce)
	aborted(t, b, qsc.Scarce)
	recovers(t, r)
}

// The peer goes and comes back.
func TestPeerGone(t *testing.T) {
	r, _ := small(t)
	a, b := r.both()
	recovers(t, r)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	aborted(t, a, qsc.Unreachable)
	until(t, "the rate falls to 0", func() bool { return a.Status().Rate == 0 })
	r.open(bob)
	recovers(t, r)
}

// A link whose blocks nobody takes rests, and goes on when somebody does; what is
// wanted beyond the blocks that wait makes room for itself.
func TestRest(t *testing.T) {
	r, p := small(t)
	r.room = 80 * r.block
	a, b := r.both()
	full := func(l *distill.Link) func() bool {
		return func() bool { return l.Status().Waiting >= r.room-8*r.block }
	}
	until(t, "alice is full", full(a))
	until(t, "bob is full", full(b))
	until(t, "it rests, and tells of no next block", func() bool { return a.Status().NextBlock < 0 || b.Status().NextBlock < 0 })
	rounds, quiet := p.seen(tReady), time.NewTimer(60*time.Millisecond)
	<-quiet.C
	if p.seen(tReady) != rounds {
		t.Error("a link that rests begins a round")
	}
	if st := a.Status(); st.Waiting > r.room+16*r.block {
		t.Errorf("%d bytes wait though nobody takes any", st.Waiting)
	}
	first := a.Records(1)[0].Round
	want := uint64(120) // beyond all that wait
	k := newBook()
	var jobs sync.WaitGroup
	for end, l := range []*distill.Link{a, b} {
		jobs.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			x, err := l.Next(ctx, from(want))
			if err != nil {
				t.Error(err)
				return
			}
			k.add(t, end, x)
		})
	}
	jobs.Wait()
	if a.Records(1)[0].Round <= first {
		t.Error("no more rounds were made")
	}
	until(t, "it rests again", func() bool { return a.Status().NextBlock < 0 || b.Status().NextBlock < 0 })
	// How much waits depends on how soon the blocks were looked at, but not that the oldest
	// have gone.
	least := want - uint64(r.room/r.block) - 16
	if first := oldest(t, a); first < least {
		t.Errorf("block %d waits, though %d and those behind it were wanted: those before %d had to go", first, want, least)
	}
}

// oldest is the first block that waits at Alice's end; none is taken.
func oldest(t *testing.T, l *distill.Link) (first uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	seen := false
	if _, err := l.Next(ctx, func(seq uint64) bool {
		if !seen {
			first, seen = seq, true
		}
		cancel() // one look is enough
		return false
	}); !qsc.IsKind(err, qsc.Timeout) {
		t.Fatal(err)
	}
	return first
}

// once notes which raw data an end uses.
type once struct {
	distill.Protocol
	mu   *sync.Mutex
	last *time.Time
	fail func(error)
}

func (o once) Sift(ctx context.Context, w distill.Wire, at distill.Start) (*distill.Sifted, error) {
	x, err := o.Protocol.Sift(ctx, w, at)
	o.mu.Lock()
	defer o.mu.Unlock()
	if at.At.Before(*o.last) {
		o.fail(qsc.E("test", qsc.Other, "", "raw data from %v on are used, though they are used up to %v", at.At, *o.last))
	}
	if err == nil {
		*o.last = x.Until
	}
	return x, err
}

// Raw data serve once, though rounds fail, ends restart and the device's time runs
// ahead of the clock.
func TestRawDataServeOnce(t *testing.T) {
	r, p := small(t)
	begin := time.Now()
	r.rate = 1000 // a quarter of a minute in every round
	var mu sync.Mutex
	var last [2]time.Time
	r.protect = func(end int, p distill.Protocol) distill.Protocol {
		return once{p, &mu, &last[end], func(err error) { t.Error(err) }}
	}
	left := map[byte]bool{0x10: true, tHashes: true, tSeed: true, tTag: true}
	p.set(func(_, n int, typ byte, msg []byte) []byte {
		if n > 100 && left[typ] {
			delete(left, typ)
			return nil
		}
		return msg
	})
	k := newBook()
	for range 3 {
		r.both()
		gather(t, r, k, 10, never)
		r.shut()
	}
	if len(left) > 0 || last[alice].Sub(begin) < time.Minute {
		t.Errorf("not cut: %v; raw data are used up to %v", left, last[alice])
	}
}

// Alice keeps nothing of a round in which Bob heard something else than she said, though
// all that he said reached her: what he counted may have been made up for him.
func TestAliceLosesARoundThatBobMisheard(t *testing.T) {
	for name, typ := range map[string]byte{"a verification hash": tHashes, "the key's length": tLength, "the seed": tSeed} {
		t.Run(name, func(t *testing.T) {
			r, p, k := newRig(t), newTap(t), newBook()
			r.wrap = p.wrap
			var once sync.Once
			p.set(func(end, _ int, is byte, msg []byte) []byte {
				if end == alice && is == typ {
					once.Do(func() { msg[len(msg)-1] ^= 1 })
				}
				return msg
			})
			a, b := r.both()
			until(t, "a round is given up", func() bool { return a.Aborts()[qsc.Tampered.String()]+b.Aborts()[qsc.Tampered.String()] > 0 })
			k.add(t, alice, next(t, a, all))
			k.add(t, bob, next(t, b, all))
			if k.equal != 1 {
				t.Error("the first block at Alice is none of Bob's")
			}
		})
	}
}
