package relay

import (
	"context"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Bounds of what waits for a slow neighbour, in bytes.
const (
	queueSoft = 4 << 20  // above it Receive and Make wait a little
	queueHard = 32 << 20 // above it messages are lost
)

// queue is what waits to be sent to one neighbour, in order. Whoever takes a step
// of the core queues without waiting, so no two neighbours can hold each other
// up; one goroutine sends.
type queue struct {
	peer    qsc.NodeID
	carrier keymgmt.Carrier
	lost    func(*message)

	mu    sync.Mutex
	wait  []send
	bytes int
	wake  chan struct{} // of capacity 1
	low   chan struct{} // closed and replaced when bytes falls below queueSoft
}

func newQueue(peer qsc.NodeID, c keymgmt.Carrier, lost func(*message)) *queue {
	return &queue{peer: peer, carrier: c, lost: lost, wake: make(chan struct{}, 1), low: make(chan struct{})}
}

// put appends a message; false when there are too many.
func (q *queue) put(s send) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := s.Msg.weight()
	if q.bytes+n > queueHard {
		return false
	}
	q.wait = append(q.wait, s)
	q.bytes += n
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

func (m *message) weight() int { return 256 + len(m.Public) + len(m.Fix) + len(m.Carried) }

// full returns a channel that is closed when the queue is short enough again,
// nil when it is.
func (q *queue) full() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes < queueSoft {
		return nil
	}
	return q.low
}

// take empties the queue.
func (q *queue) take() []send {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.wait
	q.wait = nil
	return all
}

func (q *queue) sent(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.bytes
	q.bytes -= n
	if was >= queueSoft && q.bytes < queueSoft {
		close(q.low)
		q.low = make(chan struct{})
	}
}

// run sends until ctx ends.
func (q *queue) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		}
		for _, s := range q.take() {
			head, body := s.Msg.encode()
			var err error
			if len(body) > 0 {
				err = q.carrier.Send(ctx, q.peer, head, body)
			} else {
				err = q.carrier.Send(ctx, q.peer, head)
			}
			q.sent(s.Msg.weight())
			if err != nil && s.Lost != nil && ctx.Err() == nil {
				q.lost(s.Lost)
			}
		}
	}
}
