package supply

import (
	"errors"
	"math/bits"
	"time"
)

// ticker does what has no caller: rates, erasure, expiry, exact marks.
func (s *Supply) ticker() {
	timer := time.NewTicker(s.cfg.tick)
	defer timer.Stop()
	last := s.cfg.Now()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		}
		now := s.cfg.Now()
		s.mu.Lock()
		s.measure(now.Sub(last))
		s.mu.Unlock()
		last = now
		wake(s.poke)
		if err := s.sweep(false); err != nil {
			s.cfg.Logger.Warn("supply: erasing key failed; it is tried again", "err", err)
		}
	}
}

// Pauses before something is tidied up.
const (
	idleMark  = time.Second     // before a mark that lies ahead is made exact
	idleSlot  = 2 * time.Second // before a slot that nobody takes is zeroed
	sweepMost = 64 << 20        // bytes of slots zeroed at once
)

// sweep expires what is too old, makes marks exact and erases what was given
// out. all is for Close: nothing is waited for.
//
// Order: the marks that say the bytes are gone are durable first; then zeros,
// then their sync. Only then is a slot clean.
func (s *Supply) sweep(all bool) error {
	s.mu.Lock()
	s.expire()
	s.exact(all)
	round := s.j.now()
	list := s.wipes()
	s.mu.Unlock()
	err := s.j.wait(round)
	if err == nil {
		err = s.wipe(list)
	}
	s.mu.Lock()
	s.wiped(list, err == nil)
	s.mu.Unlock()
	before := s.cfg.Now().Add(-idleSlot)
	if all {
		before = s.cfg.Now()
	}
	for _, b := range []*slab{s.pool, s.apps, s.head} {
		err = errors.Join(err, b.sweep(before, sweepMost))
	}
	return err
}

// exact lowers marks that lie ahead to what was really issued. mu is held.
func (s *Supply) exact(all bool) {
	now := s.cfg.Now()
	for _, st := range s.streams {
		if a := st.app; a != nil && len(a.given) > 0 {
			if top := a.given[len(a.given)-1].to; a.pending > top && (all || now.Sub(a.markAt) > idleMark) {
				a.pending = top
				a.round = s.j.add(record{kind: recMark, stream: st.num, c: top})
			}
		}
		for _, g := range st.order {
			if g.pending > g.pos && (all || now.Sub(g.markAt) > idleMark) {
				g.pending = g.pos
				g.round = s.j.add(record{kind: recMark, stream: st.num, n: g.n, a: g.pos, b: g.pos, c: uint64(g.used)})
			}
		}
	}
}

// expire ends the life of key that nobody fetched in time. mu is held.
func (s *Supply) expire() {
	now := s.cfg.Now()
	for _, g := range s.told {
		if !now.Before(g.born.Add(g.ttl)) {
			s.j.add(record{kind: recGiven, stream: g.stream.num, n: g.seg.n, a: g.at, how: tookExpired})
			s.endGift(g)
		}
	}
	for _, st := range s.streams {
		switch {
		case st.purpose == forApp:
			s.expireApp(st, now)
		case st.role == slave:
			s.expirePool(st, now)
		}
	}
}

// expirePool takes what was issued too long ago. mu is held.
func (s *Supply) expirePool(st *stream, now time.Time) {
	before := now.Add(-st.ttl(s.cfg.TTL)).UnixNano()
	total := 0
	for _, g := range segments(st) {
		upto := uint32(0)
		for len(g.issued) > 0 && g.issued[0].at <= before {
			upto = g.issued[0].off / unit
			if len(g.issued) == 1 {
				break // the last mark stays: it says how far the master was
			}
			g.issued = g.issued[1:]
		}
		if n := g.take(0, upto); n > 0 {
			g.expired += uint32(n) * unit
			total += n * unit
			s.j.add(record{kind: recTaken, stream: st.num, n: g.n, b: upto, how: tookExpired})
		}
		s.finish(st, g)
	}
	if total > 0 {
		s.expired += int64(total)
		s.touch(st)
		s.alarm("%d bytes of key from %s were not fetched within %v and are erased: is the slave application running?", total, st.peer, st.ttl(s.cfg.TTL))
	}
}

func (st *stream) ttl(d time.Duration) time.Duration {
	if st.keep > 0 {
		return st.keep
	}
	return d
}

// expireApp erases what an application has not asked for in time. mu is held.
func (s *Supply) expireApp(st *stream, now time.Time) {
	ttl := st.qos.TTL
	if ttl <= 0 {
		ttl = s.cfg.TTL
	}
	if a := st.app; a.open && !a.closed || a.peerOpen && !a.peerClosed {
		a.idle = now
	} else if a.idle.IsZero() {
		a.idle = now
	} else if now.Sub(a.idle) > ttl {
		s.drop(st, "")
		return
	}
	before := now.Add(-ttl).UnixNano()
	for _, g := range segments(st) {
		if g.left == 0 {
			s.finish(st, g) // used up before this start
			continue
		}
		if g.born > before {
			continue
		}
		s.expired += int64(g.left)
		g.expired += g.left
		g.left = 0
		if g.place != noPlace {
			s.passed(st, uint64(g.place)*uint64(st.size), uint64(g.size))
		}
		if g.readers == 0 && (st.role == slave || g.place < st.sync.ordered || st.app.peerClosed) {
			s.retire(st, g, record{})
		}
	}
}

// passed notes that n bytes from a position on are erased. The mark goes over
// them, for it alone says after a start which places were used; what lies below
// is older and as good as erased. mu is held.
func (s *Supply) passed(st *stream, from, n uint64) {
	a := st.app
	a.given.add(from, from+n)
	if a.pending < from+n {
		a.pending = from + n
		a.round = s.j.add(record{kind: recMark, stream: st.num, c: a.pending})
	}
}

// strip is a stretch of a segment to be overwritten.
type strip struct {
	st       *stream
	g        *segment
	from, to uint32
}

// wipes lists what was given out and is not overwritten, and holds its segments.
// mu is held.
func (s *Supply) wipes() (list []strip) {
	for _, st := range s.streams {
		if st.purpose != forPool {
			continue // whole slots are enough
		}
		for _, g := range st.segs {
			n := len(list)
			if st.role == master {
				if to := min(g.pos, g.mark); g.readers == 0 && to > g.erased {
					list = append(list, strip{st, g, g.erased, to})
				}
			} else if g.readers == 0 {
				list = g.strips(st, list)
			}
			if len(list) > n {
				g.readers++
			}
		}
	}
	return list
}

// strips appends the rows of units that are taken and not overwritten.
func (g *segment) strips(st *stream, list []strip) []strip {
	for i := range g.bits {
		w := g.bits[i] &^ g.wiped[i]
		if g.keep != nil {
			w &^= g.keep[i]
		}
		for w != 0 {
			a := bits.TrailingZeros64(w)
			n := bits.TrailingZeros64(^(w >> a))
			w &^= (1<<n - 1) << a
			from, to := uint32(64*i+a)*unit, uint32(64*i+a+n)*unit
			if k := len(list); k > 0 && list[k-1].g == g && list[k-1].to == from {
				list[k-1].to = to
				continue
			}
			list = append(list, strip{st, g, from, to})
		}
	}
	return list
}

func (s *Supply) wipe(list []strip) error {
	for _, x := range list {
		if err := s.pool.zero(x.g.slot, int64(x.from), int64(x.to)); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return nil
	}
	return s.pool.sync()
}

// wiped books what was overwritten and lets the segments go. mu is held.
func (s *Supply) wiped(list []strip, ok bool) {
	for i, x := range list {
		g := x.g
		if ok && x.st.role == master {
			g.erased = max(g.erased, x.to)
		}
		for u := x.from / unit; ok && x.st.role == slave && u < x.to/unit; u++ {
			g.wiped[u/64] |= 1 << (u % 64)
		}
		if i+1 == len(list) || list[i+1].g != g {
			s.leave(x.st, g)
		}
	}
}
