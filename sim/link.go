package sim

import (
	"time"

	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// markStep is how far ahead of its use a lane is marked, as in keymgmt/ledger: a
// crash burns no more.
const markStep = 64 << 10

// lane is one direction of a link, in bytes of key.
type lane struct {
	made  int64 // position where what the link has made ends
	next  int64 // sender: position of the next pad
	mark  int64 // sender: durably marked up to here
	taken int64 // oracle: end of the highest stretch ever handed out
	used  int64
	burnt int64
}

func (l *lane) left() int64 { return l.made - l.next }

// reserve hands out n bytes; ok is false when they are not there.
func (l *lane) reserve(n int64) (pos int64, ok bool) {
	if l.left() < n {
		return 0, false
	}
	pos = l.next
	l.next += n
	if l.next > l.mark {
		l.mark = min(l.made, l.next+markStep)
	}
	l.used += n
	return pos, true
}

// crash forgets what is not durable: the sender goes on behind its mark.
func (l *lane) crash() {
	if l.mark > l.next {
		l.burnt += l.mark - l.next
		l.next = l.mark
	}
}

// link is a QKD link with the rings at its ends.
type link struct {
	spec    topology.Link
	ends    [2]int32
	whole   bool    // its fibre
	up      bool    // and both its nodes
	rate    float64 // bytes a second, both directions
	size    int64   // of a ring
	lanes   [2]lane // 0: from end A
	settled time.Duration
	part    float64 // bytes made and not yet booked
}

// settle books what the link has made since it was last looked at. What finds no
// room in the rings is not made.
func (l *link) settle(now time.Duration) {
	dt := now - l.settled
	l.settled = now
	if !l.up || dt <= 0 {
		return
	}
	l.part += l.rate * dt.Seconds()
	each := int64(l.part) / 2 &^ 15
	l.part -= float64(2 * each)
	for i := range l.lanes {
		a := &l.lanes[i]
		a.made += min(each, l.size-a.left())
	}
}

// state is what the node at end e reports.
func (l *link) state(e int) control.LinkState {
	return control.LinkState{
		Link: l.spec.ID, Up: l.up, Send: l.lanes[e].left(), Recv: l.lanes[1-e].left(), Size: l.size,
		Rate: l.spec.Rate, Kind: l.spec.Kind,
	}
}

// name stands for the key bytes at a position: the same at both ends.
func (l *link) name(dir int, pos int64) uint64 {
	return mix(mix(uint64(l.ends[dir])<<32|uint64(l.ends[1-dir])) ^ uint64(pos))
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
