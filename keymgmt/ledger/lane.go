package ledger

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// lane is one lane in memory; Ledger.mu guards it. Positions count pad bytes
// from the lane's beginning; block i covers [i×u, (i+1)×u).
type lane struct {
	id   otp.Lane
	u    uint64
	ring *ring
	slot []block

	next uint64      // sender: position of the next pad
	win  *otp.Window // receiver: what was consumed; nil for a sender

	mark      uint64 // durable: below it everything counts as used after a crash
	target    uint64 // what the next commit makes of mark, if higher
	extent    uint64 // how far the last advance went
	nextIndex uint64 // blocks below were received or are lost
	ordinal   uint64 // of the last block accepted
	seen      uint64 // receiver: end of the highest frame really received
	account   counters
	active    bool   // used since the last idle tick
	spent     uint64 // bytes erased in memory since the sweeper was last woken

	out  []*extent          // handed out or burnt, not yet durably erased
	open map[uint64]*extent // receiver: consumed, not yet decrypted, by position
}

// counters are bytes since the epoch's beginning. What is left is not among
// them: it is counted from the table.
type counters struct{ produced, used, burnt int64 }

// extent is a stretch of pad on its way to being erased on the medium.
type extent struct {
	from, to uint64
	done     bool // nobody uses it any more
	zero     bool // zero it once the marks that burn it are durable, or again after a failed sync
	synced   bool
}

// gaps is how many frames, or stretches that a relay has been told of, may be
// missing below the last one received.
const gaps = 512

// floor is the position below which nothing is served.
func (n *lane) floor() uint64 {
	if n.win != nil {
		return n.win.Floor()
	}
	return n.next
}

// top is the position above everything used.
func (n *lane) top() uint64 {
	if n.win != nil {
		return n.win.Next()
	}
	return n.next
}

// at returns the slot for block i.
func (n *lane) at(i uint64) *block { return &n.slot[i%uint64(len(n.slot))] }

// has reports whether block i is here and unburnt.
func (n *lane) has(i uint64) bool {
	b := n.at(i)
	return b.state == present && b.index == i
}

// stock counts the bytes of present blocks in [from, to).
func (n *lane) stock(from, to uint64) (sum int64) {
	if to <= from {
		return 0
	}
	first, last := from/n.u, (to-1)/n.u
	if last-first >= uint64(len(n.slot)) {
		for i := range n.slot {
			if n.slot[i].state == present {
				sum += overlap(from, to, n.slot[i].index*n.u, n.u)
			}
		}
		return sum
	}
	for i := first; i <= last; i++ {
		if n.has(i) {
			sum += overlap(from, to, i*n.u, n.u)
		}
	}
	return sum
}

func overlap(from, to, at, size uint64) int64 {
	a, b := max(from, at), min(to, at+size)
	if b <= a {
		return 0
	}
	return int64(b - a)
}

// above counts the consumed bytes of present blocks above the floor.
func (n *lane) above() (sum int64) {
	if n.win == nil {
		return 0
	}
	for _, s := range n.win.Spans(nil) {
		sum += n.stock(s.From, s.To)
	}
	return sum
}

// left counts what can still be used, from the table and the position alone.
func (n *lane) left() int64 { return n.stock(n.floor(), noEnd) - n.above() }

const noEnd = 1 << 63 // no position lies beyond

// skip moves a sender to a higher position and burns what lies between.
func (n *lane) skip(to uint64) {
	if to <= n.next {
		return
	}
	n.account.burnt += n.stock(n.next, to)
	n.wipe(n.next, to)
	n.next = to
	n.nextIndex = max(n.nextIndex, to/n.u)
}

// raise moves a receiver's floor up and burns what was not consumed below.
func (n *lane) raise(floor uint64) {
	_ = n.moved(func() error { n.win.Raise(floor); return nil })
}

// dropTail burns what a receiving control lane has at the end of a block when it
// is too short for a slot: nothing will ever come under it, and it would keep the
// block's place from a later block.
func (n *lane) dropTail() {
	if n.win == nil || !control(n.id) {
		return
	}
	if f := n.floor(); f%n.u != 0 && n.u-f%n.u < keymgmt.SlotSize {
		n.raise(f - f%n.u + n.u)
	}
}

// consume adds a stretch to a receiver's window. Gaps that are given up for it
// are burnt. An error changes nothing.
func (n *lane) consume(from, to uint64) error {
	return n.moved(func() error {
		_, err := n.win.Add(from, int(to-from))
		return err
	}, otp.Span{From: from, To: to})
}

// moved runs a change of the window and burns what its floor then passed and
// nobody had consumed.
func (n *lane) moved(change func() error, added ...otp.Span) error {
	old, spans := n.win.Floor(), n.win.Spans(nil)
	if err := change(); err != nil {
		return err
	}
	floor := n.win.Floor()
	if floor == old {
		return nil
	}
	spans = append(spans, added...)
	slices.SortFunc(spans, func(a, b otp.Span) int { return compare(a.From, b.From) })
	for _, s := range append(spans, otp.Span{From: floor, To: floor}) {
		if end := min(s.From, floor); end > old {
			n.account.burnt += n.stock(old, end)
			n.wipe(old, end)
		}
		old = max(old, s.To)
	}
	n.nextIndex = max(n.nextIndex, floor/n.u)
	return nil
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// wipe queues the bytes of present blocks in [from, to) for erasure. They are
// not zeroed here: before the marks are durable a crash would bring them back
// into service, as zeros.
func (n *lane) wipe(from, to uint64) {
	for i := range n.slot {
		b := &n.slot[i]
		if b.state != present {
			continue
		}
		at := b.index * n.u
		if overlap(from, to, at, n.u) > 0 {
			n.out = append(n.out, &extent{from: max(from, at), to: min(to, at+n.u), done: true, zero: true})
		}
	}
}

// burn takes block i out of service. seq is the number of the marks record that
// will first count it.
func (n *lane) burn(i, seq uint64) {
	from, to := max(i*n.u, n.floor()), (i+1)*n.u
	lost := n.stock(from, to)
	if n.win != nil {
		for _, s := range n.win.Spans(nil) {
			lost -= n.stock(max(s.From, from), min(s.To, to))
		}
	}
	n.account.burnt += lost
	n.wipe(from, to)
	b := n.at(i)
	b.state, b.burnSeq, b.dirty = burnt, seq, true
	clear(b.guard[:])
}

// erased is the position below which everything is zero on the medium.
func (n *lane) erased() uint64 {
	low := n.floor()
	for _, e := range n.out {
		low = min(low, e.from)
	}
	return low
}

// unerased counts what was used or burnt and is not yet overwritten.
func (n *lane) unerased() (sum int64) {
	for _, e := range n.out {
		if !e.synced {
			sum += int64(e.to - e.from)
		}
	}
	return sum
}

// wants reports whether block i has a place. A stale block is wanted too, to be
// taken from the source and dropped.
func (n *lane) wants(i uint64) bool { return n.stale(i) || n.at(i).free() }

func (n *lane) stale(i uint64) bool { return i < n.nextIndex || (i+1)*n.u <= n.floor() }

// waitingToErase reports whether slots will come free without new key.
func (n *lane) waitingToErase() bool {
	for i := range n.slot {
		b := &n.slot[i]
		if b.state == burnt || b.state == present && (b.index+1)*n.u <= n.floor() {
			return true
		}
	}
	return false
}

// advance chooses the next durable mark so that n bytes from pos on fit below
// it: in extents that double from 64 KiB to 64 MiB under load, but never more
// than an eighth of what is left, for a crash burns the rest of an extent.
func (n *lane) advance(pos, size uint64) uint64 {
	if control(n.id) {
		return pos + keymgmt.SlotSize
	}
	n.extent = min(max(2*n.extent, minExtent), maxExtent)
	ahead := min(n.extent, max(uint64(max(n.left(), 0))/8, n.ring.size/64))
	return max(pos+size, min(pos+ahead&^(otp.Align-1), n.nextIndex*n.u))
}

const (
	minExtent = 64 << 10
	maxExtent = 64 << 20
)

// weakest is the class of all blocks in the table.
func (n *lane) weakest() (c qsc.Class) {
	for i := range n.slot {
		if n.slot[i].state == present {
			c |= n.slot[i].class
		}
	}
	return c
}
