package crash

import "sync"

// event is something that the harness sees happen in a network.
type event int

const (
	bytesPassed event = iota // over all taps
	framesPassed
	opsBegun
	opsEnded
	events
)

// progress counts events and fires triggers, so that a fault comes at a moment
// that is random in the work, not in the time.
type progress struct {
	mu    sync.Mutex
	count [events]int64
	wait  []*trigger
}

// trigger fires when an event has been counted so often since it was set.
type trigger struct {
	on    event
	at    int64
	fired chan struct{}
}

func (p *progress) add(e event, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count[e] += n
	keep := p.wait[:0]
	for _, t := range p.wait {
		if p.count[t.on] >= t.at {
			close(t.fired)
			continue
		}
		keep = append(keep, t)
	}
	p.wait = keep
}

// after returns a channel that closes when n more of e have been counted.
func (p *progress) after(e event, n int64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &trigger{e, p.count[e] + n, make(chan struct{})}
	p.wait = append(p.wait, t)
	return t.fired
}

// forget drops the triggers that have not fired.
func (p *progress) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait = nil
}
