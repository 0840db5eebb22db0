package sim

import "time"

// event is something that happens at a moment of virtual time. Events of one
// moment happen in the order in which they were planned, so that a seed decides
// everything.
type event struct {
	at   time.Duration
	seq  uint64
	kind kind
	who  int32 // node, link, pair, flow or round
}

type kind uint8

const (
	request kind = iota
	giveUp
	roundArrives
	roundAcked
	roundLost
	fetch
	reports
	tables
	cut
	mend
	crash
	boot
	controllerDies
	controllerTakes
)

// queue is a 4-ary heap.
type queue struct {
	heap []event
	seq  uint64
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (q *queue) push(e event) {
	q.seq++
	e.seq = q.seq
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(q.heap[up]) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = e
}

func (q *queue) pop() (event, bool) {
	if len(q.heap) == 0 {
		return event{}, false
	}
	top := q.heap[0]
	last := q.heap[len(q.heap)-1]
	q.heap = q.heap[:len(q.heap)-1]
	if len(q.heap) > 0 {
		q.sink(last)
	}
	return top, true
}

// sink puts e where it belongs below the empty root.
func (q *queue) sink(e event) {
	i, n := 0, len(q.heap)
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if q.heap[c].before(q.heap[least]) {
				least = c
			}
		}
		if !q.heap[least].before(e) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = e
}
