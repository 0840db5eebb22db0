package etsi014

import (
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// limiter is a token bucket for each SAE that this KME serves.
type limiter struct {
	rate float64 // per second; 0: no bound

	mu      sync.Mutex
	buckets map[qsc.AppID]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newLimiter(rate float64) *limiter {
	return &limiter{rate: rate, buckets: map[qsc.AppID]*bucket{}}
}

// allow takes a token. A second's worth may be saved up.
func (l *limiter) allow(app qsc.AppID, now time.Time) bool {
	if l.rate <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	most := max(1, l.rate)
	b := l.buckets[app]
	if b == nil {
		b = &bucket{most, now}
		l.buckets[app] = b
	}
	b.tokens = min(most, b.tokens+max(0, now.Sub(b.at).Seconds())*l.rate)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
