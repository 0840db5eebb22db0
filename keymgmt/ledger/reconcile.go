package ledger

import (
	"math"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Marks implements keymgmt.Ledger.
func (l *Ledger) Marks() keymgmt.Marks {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := keymgmt.Marks{Epoch: l.cfg.Epoch}
	for i, n := range l.lanes {
		m.Lanes[i] = n.marks()
	}
	return m
}

func (n *lane) marks() keymgmt.LaneMarks {
	m := keymgmt.LaneMarks{Floor: n.floor(), Pos: n.floor(), Next: n.nextIndex}
	if n.win != nil {
		m.Pos = n.seen
	}
	var have []uint64
	for s := range n.slot {
		if b := &n.slot[s]; b.state == present && (b.index+1)*n.u > m.Floor {
			have = append(have, b.index)
		}
	}
	slices.Sort(have)
	for _, i := range have {
		last := len(m.Blocks) - 1
		switch {
		case last >= 0 && m.Blocks[last].Last+1 == i:
			m.Blocks[last].Last = i
		case last+1 == keymgmt.MaxRanges:
			m.More = true
			return m
		default:
			m.Blocks = append(m.Blocks, keymgmt.Range{First: i, Last: i})
		}
	}
	return m
}

// Reconcile implements keymgmt.Ledger. What it burns is refused from the moment
// it returns, and durably so, even when a sync fails and it says so.
func (l *Ledger) Reconcile(peer keymgmt.Marks) error {
	const op = "ledger.Reconcile"
	if err := l.checkMarks(op, peer); err != nil {
		return err
	}
	l.fillMu.Lock()
	defer l.fillMu.Unlock()
	var stale error
	err := l.commit(func(seq uint64) bool {
		if stale = l.restored(op, peer); stale != nil || l.closed {
			return false
		}
		for i, n := range l.lanes {
			n.reconcile(peer.Lanes[i], seq)
		}
		return l.differs()
	})
	if stale != nil {
		return stale
	}
	return l.wrap(op, err)
}

// checkMarks refuses what no ledger says.
func (l *Ledger) checkMarks(op string, peer keymgmt.Marks) error {
	if peer.Epoch != l.cfg.Epoch {
		return qsc.E(op, qsc.Conflict, string(l.cfg.Link), "this end is in epoch %d, the peer in epoch %d: provision the link anew at both ends", l.cfg.Epoch, peer.Epoch)
	}
	for i, m := range peer.Lanes {
		ok := m.Floor < noEnd && m.Floor%otp.Align == 0 && m.Pos < noEnd && m.Next < noEnd/l.u && len(m.Blocks) <= keymgmt.MaxRanges
		after := uint64(0)
		for _, r := range m.Blocks {
			ok = ok && r.First >= after && r.Last >= r.First && r.Last < math.MaxUint64
			after = r.Last + 1
		}
		if !ok {
			return qsc.E(op, qsc.Invalid, string(l.cfg.Link), "the peer's marks of lane %d are impossible", i)
		}
	}
	return nil
}

// restored refuses when one of the two ends is about to send from positions that
// it has used before: the other has received beyond them. A sender's Pos below
// its Floor says nothing. mu is held.
func (l *Ledger) restored(op string, peer keymgmt.Marks) error {
	for i, n := range l.lanes {
		m, whose := peer.Lanes[i], ""
		switch {
		case n.win != nil && m.Pos >= m.Floor && m.Pos < n.seen:
			whose = "the peer's"
		case n.win == nil && m.Pos > n.next:
			whose = "this node's"
		default:
			continue
		}
		return qsc.E(op, qsc.Conflict, string(l.cfg.Link), "%s key ledger is older than what the other end received from it, a restored copy: its pads may have served: stop both nodes, remove links/%s below both their directories, and start anew", whose, l.cfg.Link)
	}
	return nil
}

// reconcile burns what only one end has. Blocks the peer may still receive are
// left alone, and so are those of its frames that are under way.
func (n *lane) reconcile(m keymgmt.LaneMarks, seq uint64) {
	spoken := m.Next
	if m.More && len(m.Blocks) > 0 {
		spoken = min(spoken, m.Blocks[len(m.Blocks)-1].Last+1)
	}
	first := uint64(0)
	if n.win == nil {
		n.skip(m.Floor)
	} else {
		n.raise(m.Floor)
		n.dropTail()
		first = (max(m.Pos, m.Floor) + n.u - 1) / n.u
	}
	for s := range n.slot {
		b := &n.slot[s]
		if b.state != present || b.index < first || b.index >= spoken || (b.index+1)*n.u <= n.floor() {
			continue
		}
		if !slices.ContainsFunc(m.Blocks, func(r keymgmt.Range) bool { return r.First <= b.index && b.index <= r.Last }) {
			n.burn(b.index, seq)
		}
	}
}
