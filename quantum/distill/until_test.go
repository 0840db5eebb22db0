package distill_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// usedUp is the end of used raw data in an end's directory, at its place in the file
// as the design page has it.
func usedUp(t *testing.T, fs durable.FS) time.Time {
	t.Helper()
	f, err := fs.Open("distill", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [8]byte
	if _, err := f.ReadAt(b[:], 4+1+4+8+8); err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b[:])))
}

// liar is a device that takes the other end's word for where its raw data end: so far
// behind the truth, from a round on.
type liar struct {
	distill.Protocol
	by   time.Duration
	from uint64
}

func (l liar) Sift(ctx context.Context, w distill.Wire, at distill.Start) (*distill.Sifted, error) {
	x, err := l.Protocol.Sift(ctx, w, at)
	if err == nil && at.Round >= l.from {
		x.Until = x.Until.Add(l.by)
	}
	return x, err
}

// spoil lets no round from one on count: Bob's tag is wrong.
func spoil(p *tap, from uint64) {
	p.set(func(end, _ int, typ byte, msg []byte) []byte {
		if end == bob && typ == tBad && binary.BigEndian.Uint64(msg[5:]) >= from {
			msg[13+7] ^= 0x80
		}
		return msg
	})
}

// silence lets nothing through from now on and waits until each end has given up what
// was under way: no tag is told any more.
func silence(t *testing.T, p *tap, ends ...*distill.Link) {
	t.Helper()
	p.set(func(int, int, byte, []byte) []byte { return nil })
	for _, l := range ends {
		n := aborts(l)
		until(t, "the cut is noticed", func() bool { return aborts(l) > n })
	}
}

// What nobody has vouched for moves no end's raw data on its disk: neither the end that
// a device was told, nor, in a round that came to nothing, any.
func TestForgedEndOfRawDataIsNotKept(t *testing.T) {
	t.Parallel()
	r, p := small(t)
	r.protect = func(_ int, p distill.Protocol) distill.Protocol { return liar{p, time.Minute, 3} }
	spoil(p, 3)
	a, b := r.both()
	aborted(t, a, qsc.Tampered)
	until(t, "three rounds are spoilt", func() bool { return a.Aborts()[qsc.Tampered.String()] >= 3 })
	until(t, "bob has marked his masks", func() bool { return distill.Founding-b.Tags() >= 3 })
	for end, fs := range r.dirs {
		if at := usedUp(t, fs); time.Until(at) > 30*time.Second {
			t.Errorf("end %d has written down that raw data are used up to %v from now", end, time.Until(at))
		}
	}
	spoil(p, 1<<62)
	k := newBook()
	gather(t, r, k, 3, never)
	for _, fs := range r.dirs {
		until(t, "a round that counts is written down", func() bool { return time.Until(usedUp(t, fs)) > 30*time.Second })
	}
}

// A start that lies further ahead than the other end may be is refused at once: a
// device would wait for it.
func TestForgedStartIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		end  int // who says it
		typ  byte
		at   int // byte of the payload
		hurt int
	}{"bob's end of raw data": {bob, tReady, 16 + 16 + 8 + 12, alice}, "alice's start": {alice, tGo, 16, bob}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, p := small(t)
			r.protect = func(_ int, p distill.Protocol) distill.Protocol { return present{p, t} }
			var once sync.Once
			p.set(func(end, _ int, typ byte, msg []byte) []byte {
				if end == c.end && typ == c.typ && binary.BigEndian.Uint64(msg[5:]) == 2 {
					once.Do(func() {
						binary.BigEndian.PutUint64(msg[13+c.at:], uint64(time.Now().Add(6*time.Minute).UnixNano()))
					})
				}
				return msg
			})
			r.both()
			aborted(t, r.links[c.hurt], qsc.Corrupt)
			recovers(t, r)
		})
	}
}

// present is a device on the clock: it has no raw data of times to come.
type present struct {
	distill.Protocol
	t *testing.T
}

func (d present) Sift(ctx context.Context, w distill.Wire, at distill.Start) (*distill.Sifted, error) {
	if wait := time.Until(at.At); wait > 0 {
		d.t.Errorf("a round begins %v from now: the device waits for it", wait)
	}
	return d.Protocol.Sift(ctx, w, at)
}

// However often sifting fails, a device on the clock goes on with the present: it has
// not to wait for raw data when all is well again.
func TestFailedSiftsDoNotRunAhead(t *testing.T) {
	t.Parallel()
	r, _ := small(t)
	r.protect = func(_ int, p distill.Protocol) distill.Protocol {
		return scarce{present{p, t}, rounds(4)}
	}
	a, _ := r.both()
	until(t, "four failures", func() bool { return a.Aborts()[qsc.Scarce.String()] >= 4 })
	recovers(t, r)
}

// Raw data told in rounds that failed are not used again by the ends' next processes:
// not by those of a device on the clock though both were killed and nothing of those
// rounds was written down, nor, after a close, by those of one that runs ahead.
func TestRawDataOfFailedRoundsServeNoLaterProcess(t *testing.T) {
	for name, kill := range map[string]bool{"killed": true, "closed, ahead of the clock": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, p := small(t)
			if !kill {
				r.rate = 1000
			}
			var mu sync.Mutex
			var last [2]time.Time
			r.protect = func(end int, p distill.Protocol) distill.Protocol {
				return once{p, &mu, &last[end], func(err error) { t.Error(err) }}
			}
			spoil(p, 3)
			a, b := r.both()
			until(t, "two rounds are spoilt", func() bool { return a.Aborts()[qsc.Tampered.String()] >= 2 })
			if kill { // no mask of a round under way may serve beside the one in the copy
				silence(t, p, a, b)
			}
			dirs, src := r.dirs, rand.New(rand.NewPCG(1, 2))
			for end, fs := range dirs {
				if kill {
					dirs[end] = fs.(*durable.Disk).Crashed(src)
				}
			}
			r.shut()
			r.dirs = dirs
			spoil(p, 1<<62)
			r.both()
			gather(t, r, newBook(), 3, never)
		})
	}
}
