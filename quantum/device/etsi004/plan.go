package etsi004

import "slices"

// plan knows which blocks were not asked for yet and which are doubtful. The
// statuses of the standard do not tell a chunk that was given before from one
// that is not made yet: both are "insufficient key". So a refused block is passed
// over for those behind it: when one of them comes, it is there by now, or was given
// before, and is asked for once more: refused again, it is lost. When none comes, the
// source is dry and the first is asked for again.
type plan struct {
	next  uint64   // every block from here on was never passed
	held  []uint64 // passed, because nobody wanted them; rising
	doubt []uint64 // refused since a block came; rising
	last  []uint64 // doubtful once, below a block that came since; rising, in held until asked for
	span  int      // how many may be doubtful before the source counts as dry
}

// pick returns the first block to ask for now.
func (p *plan) pick(want func(uint64) bool) (uint64, bool) {
	for i, seq := range p.held {
		if want(seq) {
			p.held = slices.Delete(p.held, i, i+1)
			return seq, true
		}
	}
	for seq := p.next; seq-p.next < lookAhead && seq < maxSeq; seq++ {
		if want(seq) {
			for ; p.next < seq; p.next++ {
				p.held = append(p.held, p.next)
			}
			p.next = seq + 1
			p.held = p.held[max(0, len(p.held)-heldMax):]
			return seq, true
		}
	}
	return 0, false
}

// maxSeq is where the index of the wire ends.
const maxSeq = 1 << 32

// got notes that a block came: those refused below it are asked for once more, since they
// may have been made after they were refused.
func (p *plan) got(seq uint64) {
	p.final(seq)
	n, _ := slices.BinarySearch(p.doubt, seq)
	for _, d := range p.doubt[:n] {
		p.back(d)
		if at, there := slices.BinarySearch(p.last, d); !there {
			p.last = slices.Insert(p.last, at, d)
		}
	}
	p.last = p.last[max(0, len(p.last)-heldMax):]
	p.doubt, p.span = slices.Clone(p.doubt[n:]), doubtMin
}

// final reports whether a block was asked for the last time.
func (p *plan) final(seq uint64) bool {
	at, there := slices.BinarySearch(p.last, seq)
	if there {
		p.last = slices.Delete(p.last, at, at+1)
	}
	return there
}

// refused notes that a block was refused and reports whether the source is dry.
// next is the lowest block that may still be had, as far as the KME says; it says
// nothing with seq itself.
func (p *plan) refused(seq, next uint64) bool {
	if next > seq {
		p.jump(next)
		return false
	}
	if p.final(seq) {
		return false
	}
	at, _ := slices.BinarySearch(p.doubt, seq)
	p.doubt = slices.Insert(p.doubt, at, seq)
	if len(p.doubt) < p.span {
		return false
	}
	p.span = min(2*p.span, doubtMax)
	p.again()
	return true
}

// jump gives up what lies below next.
func (p *plan) jump(next uint64) {
	below := func(seq uint64) bool { return seq < next }
	p.held = slices.DeleteFunc(p.held, below)
	p.doubt = slices.DeleteFunc(p.doubt, below)
	p.last = slices.DeleteFunc(p.last, below)
	p.next = max(p.next, min(next, maxSeq))
}

// back puts a block back that did not come, to be asked for again.
func (p *plan) back(seq uint64) {
	if at, there := slices.BinarySearch(p.held, seq); !there {
		p.held = slices.Insert(p.held, at, seq)
	}
}

// again puts the doubtful back to be asked for. They may be more than are held:
// held holds those that were passed over, and these were refused a moment ago.
func (p *plan) again() {
	p.next = min(p.next, p.doubt[0])
	p.held = slices.DeleteFunc(p.held, func(seq uint64) bool { return seq >= p.next })
	p.doubt = nil
}
