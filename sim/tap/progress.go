package tap

import "sync"

// Event is something that the harness sees happen in a network.
type Event int

// What is counted. A harness counts the operations itself.
const (
	BytesPassed  Event = iota // over all taps
	FramesPassed              // whole ones
	OpsBegun
	OpsEnded
	Events = iota
)

// Progress counts events and fires triggers, so that a fault comes at a moment
// that is random in the work, not in the time.
type Progress struct {
	mu    sync.Mutex
	count [Events]int64
	wait  []*trigger
}

// trigger fires when an event has been counted so often since it was set.
type trigger struct {
	on    Event
	at    int64
	fired chan struct{}
}

// Add counts n more of e.
func (p *Progress) Add(e Event, n int64) {
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

// After returns a channel that closes when n more of e have been counted.
func (p *Progress) After(e Event, n int64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &trigger{e, p.count[e] + n, make(chan struct{})}
	p.wait = append(p.wait, t)
	return t.fired
}

// Forget drops the triggers that have not fired.
func (p *Progress) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait = nil
}
