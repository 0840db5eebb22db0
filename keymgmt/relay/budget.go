package relay

import (
	"context"
	"sync"
)

// budget bounds the bytes of the rounds that are under way from this node, so
// that it cannot fill the nodes between. A round larger than all of it waits
// until it is alone.
type budget struct {
	mu    sync.Mutex
	all   int
	left  int
	freed chan struct{} // closed and replaced when something is given back
}

func newBudget(n int) *budget { return &budget{all: n, left: n, freed: make(chan struct{})} }

// take waits for n bytes as long as ctx allows.
func (b *budget) take(ctx context.Context, n int) error {
	n = min(n, b.all)
	for {
		b.mu.Lock()
		if b.left >= n {
			b.left -= n
			b.mu.Unlock()
			return nil
		}
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += min(n, b.all)
	close(b.freed)
	b.freed = make(chan struct{})
}
