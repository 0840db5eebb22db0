package supply

import (
	"math/bits"
	"time"

	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// role says which end of a stream this node is.
type role uint8

const (
	master role = iota // asked for the key, issues it
	slave              // keeps the copies that are fetched
)

// purpose says what a stream is for.
type purpose uint8

const (
	forPool purpose = iota // keys by identifier
	forApp                 // one stream between two applications
)

// unit is the grain of positions in a pool segment, in bytes.
const unit = 8

// noPlace marks a segment whose place in an application stream is not known.
const noPlace = ^uint32(0)

// streamKey finds a stream: both ends may be on this node.
type streamKey struct {
	role role
	id   [16]byte
}

// stream is one end of a stream. All of it is guarded by Supply.mu but desc,
// num and head, which do not change once others see them.
type stream struct {
	streamDesc
	num  uint32
	head *head
	segs map[uint32]*segment
	seen spans // segment numbers that are stored, gone or void
	book Books // of segments that are gone

	confirmed bool // the peer has agreed, in this process, that its state fits
	dropped   bool
	changed   chan struct{} // closed and replaced when key or news come
	waiters   int
	lastErr   error

	// master
	next     uint32 // number of the next segment
	reserved uint32 // numbers below are durably reserved
	making   int    // rounds under way
	order    []*segment
	reports  []report
	reported uint64 // reports the slave has confirmed
	peerHas  uint64 // bytes the slave told to have taken
	demand   demand
	sync     syncState

	// slave
	peerBoot uint64
	peerSeq  uint64
	heard    time.Time       // when the master last spoke
	keep     time.Duration   // how long unfetched key lives, as the master says; 0: the default
	storing  map[uint32]bool // segments on their way to the disk; true: given up meanwhile

	app  *appEnd
	heir *stream // an application stream of the same identifier that took its place
}

// report tells the slave that it will never be asked for the bytes of segment n
// at and above from: 0 for a segment that the master never got.
type report struct{ n, from uint32 }

// segment is one stretch of key at one end.
type segment struct {
	segmentInfo
	n       uint32
	readers int    // calls that still read it
	done    bool   // no longer held
	after   *round // with done: when its slot may be used again

	// master of a pool stream
	pos     uint32 // next byte to issue
	pending uint32 // mark on its way to the disk, or there
	round   *round // that makes pending durable
	mark    uint32 // durable
	used    uint32 // bytes issued, fetched or given
	expired uint32 // slave: bytes not fetched in time
	markAt  time.Time
	markPos uint32
	erased  uint32 // bytes below are overwritten

	// slave of a pool stream
	bits   []uint64 // units taken
	wiped  []uint64 // of these, overwritten
	keep   []uint64 // of these, pads of gifts that are still to be read; nil: none
	gifts  int      // that lie in this segment
	free   int      // units not taken
	issued []issuedMark

	// either end of an application stream
	left uint32 // bytes not given
}

// issuedMark says when the master was known to have issued up to off.
type issuedMark struct {
	off uint32
	at  int64 // Unix nanoseconds
}

func (g *segment) units() int { return int(g.size / unit) }

// isFree reports whether no unit from a to b (not included) is taken.
func (g *segment) isFree(a, b uint32) bool { return count(g.bits, a, b) == 0 }

// take takes the units from a to b (not included) and returns how many were free.
func (g *segment) take(a, b uint32) (n int) {
	for i := a; i < b; i++ {
		if g.bits[i/64]&(1<<(i%64)) == 0 {
			g.bits[i/64] |= 1 << (i % 64)
			n++
		}
	}
	g.free -= n
	return n
}

// untake gives the units back: nothing of them was made durable or shown.
func (g *segment) untake(a, b uint32) {
	for i := a; i < b; i++ {
		g.bits[i/64] &^= 1 << (i % 64)
	}
	g.free += int(b - a)
}

func count(set []uint64, a, b uint32) (n int) {
	for i := a; i < b; {
		w := set[i/64] >> (i % 64)
		k := min(64-i%64, b-i)
		if k < 64 {
			w &= 1<<k - 1
		}
		n += bits.OnesCount64(w)
		i += k
	}
	return n
}

// newSegment prepares what the stream's end needs to know of a segment.
func (st *stream) newSegment(n uint32, info segmentInfo) *segment {
	g := &segment{n: n, segmentInfo: info}
	switch {
	case st.purpose == forApp:
		g.left = info.size
	case st.role == slave:
		words := (g.units() + 63) / 64
		g.bits, g.wiped, g.free = make([]uint64, words), make([]uint64, words), g.units()
	}
	return g
}

// hold puts a segment in place. Supply.mu is held.
func (st *stream) hold(g *segment) {
	st.segs[g.n] = g
	st.seen.add(uint64(g.n), uint64(g.n)+1)
	if st.role == master && st.purpose == forPool {
		st.order = append(st.order, g)
	}
	if st.app != nil && g.place != noPlace {
		st.app.byPlace[g.place] = g
		st.app.places = max(st.app.places, g.place+1)
	}
}

// available returns the bytes not given out. Supply.mu is held.
func (st *stream) available() (n int64) {
	switch {
	case st.purpose == forApp:
		for _, g := range st.segs {
			n += int64(g.left)
		}
	case st.role == master:
		for _, g := range st.order {
			n += int64(g.size - g.pos)
		}
	default:
		for _, g := range st.segs {
			n += int64(g.free) * unit
		}
	}
	return n
}

func (st *stream) notify() {
	close(st.changed)
	st.changed = make(chan struct{})
}

// Books is the account of one end of a stream, in bytes of key, masks included:
// Produced = Used + Burnt + Expired + Left.
type Books struct {
	Produced int64 `json:"produced"` // stored at this end
	Used     int64 `json:"used"`     // issued, fetched or given, or spent on gifts
	Burnt    int64 `json:"burnt"`    // lost to a crash, a rest too short, or a disagreement
	Expired  int64 `json:"expired"`  // issued and not fetched in time
	Left     int64 `json:"left"`
}

// Balanced reports whether the account closes.
func (b Books) Balanced() bool { return b.Produced == b.Used+b.Burnt+b.Expired+b.Left }

func (b *Books) add(o Books) {
	b.Produced += o.Produced
	b.Used += o.Used
	b.Burnt += o.Burnt
	b.Expired += o.Expired
	b.Left += o.Left
}

// head is the identifier key of a pool stream.
type head struct {
	slot uint32
	perm *permutation
	tags *tagger
}

func classOf(d keymgmt.Delivery) segmentInfo {
	return segmentInfo{size: uint32(d.Key.Len()), class: d.Class, hops: uint8(min(d.Hops, 255)), paths: uint8(max(d.Paths, 0)),
		need: uint8(max(d.Need, 0)), disjoint: d.Disjoint, place: noPlace}
}
