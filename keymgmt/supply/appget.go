package supply

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// maxGaps bounds the holes that an application may leave behind it; the oldest
// are burnt beyond.
const maxGaps = 1024

// ID implements keymgmt.Stream.
func (e *appStream) ID() [16]byte { return e.now().id }

// QoS implements keymgmt.Stream.
func (e *appStream) QoS() keymgmt.QoS { return e.now().qos }

// Connected implements keymgmt.Stream.
func (e *appStream) Connected() <-chan struct{} { return e.now().app.connected }

// Get implements keymgmt.Stream. Besides the errors of the contract: NoSpace.
func (e *appStream) Get(ctx context.Context, index uint32, dst []byte) (keymgmt.ChunkInfo, error) {
	const op = "stream.Get"
	s, st := e.s, e.now()
	if len(dst) != int(st.qos.ChunkSize) {
		return keymgmt.ChunkInfo{}, qsc.E(op, qsc.Invalid, "", "room for %d bytes; a chunk has %d", len(dst), st.qos.ChunkSize)
	}
	if err := s.j.ready(); err != nil {
		return keymgmt.ChunkInfo{}, err
	}
	from := uint64(index) * uint64(len(dst))
	for {
		s.mu.Lock()
		st = e.end()
		list, err := s.seize(st, from, from+uint64(len(dst)))
		if err != nil || list != nil {
			round := st.app.round
			s.mu.Unlock()
			if err != nil {
				return keymgmt.ChunkInfo{}, err
			}
			return s.give(st, list, from, dst, round)
		}
		st.waiters++
		changed, last := st.changed, st.lastErr
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			err = qsc.E(op, qsc.Timeout, "", "no key came in time: %w", context.Cause(ctx))
			if last != nil {
				err = qsc.E(op, qsc.Exhausted, "", "no key is there, and making it fails: %w", last)
			}
		}
		s.mu.Lock()
		st.waiters--
		s.mu.Unlock()
		if err != nil {
			return keymgmt.ChunkInfo{}, err
		}
	}
}

// seize takes a chunk: its segments, nil when it is not here yet. mu is held.
func (s *Supply) seize(st *stream, from, to uint64) (list []*segment, err error) {
	const op = "stream.Get"
	a := st.app
	switch {
	case a.refused != "":
		return nil, qsc.E(op, qsc.Denied, string(st.peer), "the other node refuses the stream: %s", a.refused)
	case st.dropped || a.closed || s.closed:
		return nil, qsc.E(op, qsc.Unreachable, string(st.peer), "the stream is closed")
	case a.given.meets(from, to):
		return nil, qsc.E(op, qsc.NotFound, "", "this chunk was given or erased already: ask for the next")
	case st.role == master && !a.established || !st.confirmed:
		return nil, nil
	}
	size := uint64(st.size)
	for p := from / size; p*size < to; p++ {
		g := a.byPlace[uint32(p)]
		switch {
		case g != nil:
			list = append(list, g)
		case p < uint64(a.places):
			return nil, qsc.E(op, qsc.NotFound, "", "this chunk was erased: ask for a later one")
		case a.peerClosed && st.making == 0 && len(st.storing) == 0:
			return nil, qsc.E(op, qsc.Unreachable, string(st.peer), "the peer has closed the stream and nothing is left of it")
		default:
			return nil, nil
		}
	}
	s.book(st, list, from, to)
	return list, nil
}

// book marks a chunk as given. mu is held.
func (s *Supply) book(st *stream, list []*segment, from, to uint64) {
	a, size := st.app, uint64(st.size)
	a.given.add(from, to)
	if len(a.given) > maxGaps {
		a.given.add(0, a.given[1].to) // the oldest hole is burnt
	}
	for _, g := range list {
		begin := uint64(g.place) * size
		n := uint32(min(to, begin+uint64(g.size)) - max(from, begin))
		g.left -= n
		g.used += n
		g.readers++
	}
	st.demand.spent += int64(to - from)
	if len(st.segs) > appWindow/2 {
		s.trim(st)
	}
	if to > a.pending || a.round == nil || a.round.failed() {
		now := s.cfg.Now()
		a.pending = min(max(a.pending, to+a.ahead(to, now)), uint64(a.places)*size)
		a.markAt, a.markPos = now, to
		a.round = s.j.add(record{kind: recMark, stream: st.num, c: a.pending})
	}
	wake(s.poke)
}

// ahead is as for keys: what a few milliseconds give.
func (a *appEnd) ahead(pos uint64, now time.Time) uint64 {
	passed := now.Sub(a.markAt)
	if a.markAt.IsZero() || passed > 20*markStep || pos < a.markPos {
		return 0
	}
	return uint64(float64(pos-a.markPos) / max(passed.Seconds(), 1e-4) * markStep.Seconds())
}

// give reads a chunk once its mark is durable.
func (s *Supply) give(st *stream, list []*segment, from uint64, dst []byte, round *round) (info keymgmt.ChunkInfo, err error) {
	err = s.j.wait(round)
	born := int64(0)
	for _, g := range list {
		begin := uint64(g.place) * uint64(st.size)
		a, b := max(from, begin), min(from+uint64(len(dst)), begin+uint64(g.size))
		if err == nil {
			err = s.apps.read(g.slot, int64(a-begin), dst[a-from:b-from])
		}
		info.Class |= g.class
		info.Hops = max(info.Hops, int(g.hops)-1)
		born = max(born, g.born)
	}
	info.Age = s.cfg.Now().Sub(time.Unix(0, born))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range list {
		s.leave(st, g)
		if g.done && st.role == slave && s.cfg.tick >= 0 {
			s.start(func() { s.answerAgain(st) })
		}
	}
	wake(s.poke)
	if err != nil {
		clear(dst)
		return keymgmt.ChunkInfo{}, qsc.E("stream.Get", qsc.KindOf(err), string(s.cfg.Node), "the chunk is burnt: %w", err)
	}
	return info, nil
}

// answerAgain tells the master that there is room for another segment.
func (s *Supply) answerAgain(st *stream) {
	s.mu.Lock()
	if st.dropped || st.peerSeq == 0 {
		s.mu.Unlock()
		return
	}
	w := &wire.Writer{}
	s.answer(st, state{boot: st.peerBoot, seq: st.peerSeq}, w)
	round := s.j.now()
	s.mu.Unlock()
	if s.j.wait(round) == nil {
		s.tell(st.peer, keymgmt.TopicSync, w.B)
	}
}

// Close implements keymgmt.Stream.
func (e *appStream) Close() error {
	s, st := e.s, e.now()
	s.mu.Lock()
	if st.app.closed || st.dropped {
		s.mu.Unlock()
		return nil
	}
	st.app.closed = true
	st.app.version++
	for _, g := range segments(st) {
		g.left = 0
		s.finish(st, g)
	}
	st.notify()
	s.mu.Unlock()
	s.announce(st)
	s.mu.Lock()
	s.endIfClosed(st)
	s.mu.Unlock()
	return nil
}

// endIfClosed forgets a stream that both have closed. mu is held.
func (s *Supply) endIfClosed(st *stream) {
	if st.app.closed && st.app.peerClosed {
		s.drop(st, "")
	}
}
