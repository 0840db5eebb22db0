package supply

import (
	"crypto/subtle"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// A gift brings multicast keys to the node of further slaves, under a one-time
// pad and a one-time tag from the pool stream to that node. What is stored there
// is the message; the key itself is not written down a second time: it is the
// message under the pad, and erasing the pad erases it.
const (
	giftFront  = 2 * uhash.Size // the hash's point and the tag's mask, before the pad
	giftResend = 250 * time.Millisecond
)

// giftKey names a gift: where its pad lies.
type giftKey struct {
	id    [16]byte
	n, at uint32
}

// gift is one gift at the slaves' node.
type gift struct {
	stream *stream
	seg    *segment
	at     uint32 // unit of the front
	master qsc.AppID
	slaves []qsc.AppID
	ids    []qsc.KeyID
	size   int
	cipher []byte
	info   segmentInfo // class and paths
	born   time.Time
	ttl    time.Duration
	given  [][]bool // by slave, by key
	left   int
	body   []byte // as it came
	round  *round
}

func (g *gift) key() giftKey { return giftKey{g.stream.id, g.seg.n, g.at} }

func (g *gift) isGiven(slave, i int) bool { return g.given[slave][i] }

func (g *gift) give(slave, i int) bool {
	if g.given[slave][i] {
		return false
	}
	g.given[slave][i] = true
	g.left--
	return true
}

func (g *gift) ungive(slave, i int) {
	g.given[slave][i] = false
	g.left++
}

// giftStep returns how many bytes of a stream a gift of n keys takes.
func giftStep(n, size int) int { return giftFront + (n*size+unit-1)/unit*unit }

// parseGift reads a gift. Its tag is not looked at.
func parseGift(body []byte) (k giftKey, g *gift, err error) {
	r := wire.NewReader(body)
	if r.U8() != 1 {
		return k, nil, qsc.E("supply.gift", qsc.Invalid, "", "not a gift")
	}
	k = giftKey{id: r.Array16(), n: r.U32(), at: r.U32()}
	n, size := int(r.U16()), int(r.U16())
	g = &gift{at: k.at, size: size}
	g.info = segmentInfo{class: qsc.Class(r.U8()), hops: r.U8(), paths: r.U8(), need: r.U8(), disjoint: r.U8() != 0}
	g.ttl = time.Duration(r.U32()) * time.Second
	g.master = qsc.AppID(r.Text())
	for range int(r.U8()) {
		g.slaves = append(g.slaves, qsc.AppID(r.Text()))
		g.given = append(g.given, nil)
	}
	if r.Err() == nil && (n == 0 || size == 0 || len(g.slaves) == 0 || n*(size+16) > len(body)) {
		return k, nil, qsc.E("supply.gift", qsc.Invalid, "", "a gift of nothing")
	}
	for range n {
		g.ids = append(g.ids, qsc.KeyID(r.Array16()))
		if r.Err() != nil {
			break
		}
	}
	g.cipher = r.Take(n * size)
	r.Take(uhash.Size)
	for i := range g.given {
		g.given[i] = make([]bool, len(g.ids))
	}
	g.left, g.body = n*len(g.slaves), body
	return k, g, r.Done()
}

// holdGift puts a gift in place. mu is held, or nobody else is there yet.
func (s *Supply) holdGift(st *stream, g *gift, now time.Time) {
	seg := g.seg
	g.stream, g.born = st, now
	end := g.at + uint32(giftStep(len(g.ids), g.size)/unit)
	seg.used += uint32(seg.take(g.at, end)) * unit
	if seg.keep == nil {
		seg.keep = make([]uint64, len(seg.bits))
	}
	for i := g.at; i < end; i++ {
		seg.keep[i/64] |= 1 << (i % 64)
	}
	seg.gifts++
	for _, id := range g.ids {
		s.gifts[id] = g
	}
	s.told[g.key()] = g
}

// endGift lets a gift go whose keys are all fetched or expired. mu is held.
func (s *Supply) endGift(g *gift) {
	if s.told[g.key()] != g {
		return
	}
	for i := g.at; i < g.at+uint32(giftStep(len(g.ids), g.size)/unit); i++ {
		g.seg.keep[i/64] &^= 1 << (i % 64)
	}
	g.seg.gifts--
	delete(s.told, g.key())
	for _, id := range g.ids {
		delete(s.gifts, id)
	}
}

func (s *Supply) applyGift(st *stream, r record) error {
	k, g, err := parseGift(slices.Clone(r.body))
	if err != nil {
		return qsc.E("supply.Open", qsc.Corrupt, "", "a gift in the journal cannot be read: %w", err)
	}
	seg := st.segs[k.n]
	if seg == nil || seg.bits == nil || k.at+uint32(giftStep(len(g.ids), g.size)/unit) > uint32(seg.units()) {
		return nil
	}
	g.seg = seg
	s.holdGift(st, g, time.Unix(0, int64(r.c))) // in a snapshot its units are taken already
	return nil
}

func (s *Supply) applyGiven(st *stream, r record) {
	g := s.told[giftKey{st.id, r.n, r.a}]
	if g == nil {
		return
	}
	if r.how == tookFetched && r.c < uint64(len(g.given)) && r.d < uint64(len(g.ids)) {
		g.give(int(r.c), int(r.d))
	}
	if r.how == tookExpired || g.left == 0 {
		s.endGift(g)
	}
}

// gave books a key of a gift as fetched. mu is held.
func (s *Supply) gave(g *gift, slave, i int) *round {
	r := s.j.add(record{kind: recGiven, stream: g.stream.num, n: g.seg.n, a: g.at, c: uint64(slave), d: uint64(i)})
	if g.left == 0 {
		s.endGift(g)
	}
	return r
}

// encode writes the gift's records of a snapshot.
func (g *gift) encode(b []byte) []byte {
	b = record{kind: recGift, stream: g.stream.num, n: g.seg.n, c: uint64(g.born.UnixNano()), body: g.body}.append(b)
	for slave := range g.given {
		for i, given := range g.given[slave] {
			if given {
				b = record{kind: recGiven, stream: g.stream.num, n: g.seg.n, a: g.at, c: uint64(slave), d: uint64(i)}.append(b)
			}
		}
	}
	return b
}

// openGift takes the pad off key i.
func (s *Supply) openGift(g *gift, i int, dst []byte) error {
	off := int64(g.at)*unit + giftFront + int64(i*g.size)
	if err := s.pool.read(g.seg.slot, off, dst); err != nil {
		return qsc.E("supply.Fetch", qsc.KindOf(err), string(s.cfg.Node), "stored key cannot be read: %w", err)
	}
	subtle.XORBytes(dst, dst, g.cipher[i*g.size:])
	return nil
}

// takeGift stores a gift and acknowledges it.
func (s *Supply) takeGift(from qsc.NodeID, body []byte) {
	k, g, err := parseGift(slices.Clone(body))
	if err != nil {
		return
	}
	ok, sure := s.keepGift(from, k, g)
	if !sure {
		return // it comes again
	}
	w := wire.Writer{}
	w.U8(2).Raw(k.id[:]).U32(k.n).U32(k.at).U8(flag(ok))
	s.tell(from, keymgmt.TopicGift, w.B)
}

// keepGift reports whether a gift is stored, and whether that is sure yet: until
// the two nodes agree on the state of the stream it is not.
func (s *Supply) keepGift(from qsc.NodeID, k giftKey, g *gift) (ok, sure bool) {
	s.mu.Lock()
	st := s.streams[streamKey{slave, k.id}]
	if old := s.told[k]; old != nil {
		round := old.round
		s.mu.Unlock()
		return round == nil || s.j.wait(round) == nil, true
	}
	if st != nil && st.peer == from && !st.confirmed {
		s.touch(st)
		s.mu.Unlock()
		return false, false
	}
	end := uint64(k.at) + uint64(giftStep(len(g.ids), g.size)/unit)
	if st == nil || st.peer != from || st.purpose != forPool || st.segs[k.n] == nil || end > uint64(st.segs[k.n].units()) || !st.segs[k.n].isFree(k.at, uint32(end)) {
		s.mu.Unlock()
		return false, true
	}
	g.seg = st.segs[k.n]
	g.seg.readers++
	s.mu.Unlock()
	genuine := s.genuine(g)
	s.mu.Lock()
	defer func() {
		s.leave(st, g.seg)
		s.mu.Unlock()
	}()
	if !genuine || st.dropped || g.seg.done || !g.seg.isFree(k.at, uint32(end)) {
		return false, true
	}
	now := s.cfg.Now()
	s.holdGift(st, g, now)
	g.round = s.j.add(record{kind: recGift, stream: st.num, n: k.n, c: uint64(now.UnixNano()), body: g.body})
	round := g.round
	s.mu.Unlock()
	err := s.j.wait(round)
	s.mu.Lock()
	return err == nil, true
}

// genuine checks the tag of a gift, whose segment is held.
func (s *Supply) genuine(g *gift) bool {
	front := make([]byte, giftFront)
	defer clear(front)
	if err := s.pool.read(g.seg.slot, int64(g.at)*unit, front); err != nil {
		return false
	}
	n := len(g.body) - uhash.Size
	head := n - len(g.cipher)
	return uhash.Equal(giftTag(front, g.body[:head], g.body[head:n]), [16]byte(g.body[n:]))
}
