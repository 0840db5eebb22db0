package supply

import (
	"slices"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Bounds of the answers kept for a retry.
const (
	maxRetries    = 1 << 16
	maxRetryBytes = 64 << 20
)

// retryKey names a request among those of all clients.
type retryKey struct {
	client string
	app    qsc.AppID
	name   string
}

// retryAnswer is the answer to a request, kept for its window.
type retryAnswer struct {
	ids   []qsc.KeyID // of a Fetch
	done  chan struct{}
	keys  *keymgmt.Keys // nil after done: the request failed
	until time.Time
	key   retryKey
}

// retries keeps answers in memory for clients that lost them.
type retries struct {
	mu    sync.Mutex
	known map[retryKey]*retryAnswer
	queue []*retryAnswer // in order of arrival
	bytes int
}

func (t *retries) init() { t.known = map[retryKey]*retryAnswer{} }

// do answers as before when the same request came within its window, and
// otherwise runs it. A request that failed is forgotten.
func (t *retries) do(key retryKey, ids []qsc.KeyID, now func() time.Time, window time.Duration, run func() (*keymgmt.Keys, error)) (*keymgmt.Keys, error) {
	t.mu.Lock()
	t.expire(now())
	if a := t.known[key]; a != nil && slices.Equal(a.ids, ids) && (a.until.IsZero() || now().Before(a.until)) {
		t.mu.Unlock()
		<-a.done
		t.mu.Lock()
		defer t.mu.Unlock()
		if a.keys != nil {
			return copyKeys(a.keys), nil
		}
		return nil, qsc.E("supply.retry", qsc.Exhausted, "", "the first request of this name failed meanwhile, or its window ended: ask again")
	}
	a := &retryAnswer{ids: slices.Clone(ids), done: make(chan struct{}), key: key}
	t.known[key] = a
	t.mu.Unlock()
	keys, err := run()
	t.mu.Lock()
	defer t.mu.Unlock()
	defer close(a.done)
	if err != nil {
		if t.known[key] == a {
			delete(t.known, key)
		}
		return nil, err
	}
	a.keys, a.until = copyKeys(keys), now().Add(window)
	t.queue = append(t.queue, a)
	t.bytes += a.keys.Bytes.Len()
	return keys, nil
}

// expire wipes the oldest answers while their window is over, or there are too
// many. mu is held.
func (t *retries) expire(now time.Time) {
	for len(t.queue) > 0 {
		a := t.queue[0]
		if now.Before(a.until) && t.bytes <= maxRetryBytes && len(t.queue) <= maxRetries {
			return
		}
		t.queue = t.queue[1:]
		t.bytes -= a.keys.Bytes.Len()
		a.keys.Bytes.Zeroise()
		a.keys = nil
		if t.known[a.key] == a {
			delete(t.known, a.key)
		}
	}
}

func (t *retries) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) > 0 {
		t.expire(t.queue[0].until)
	}
}

func copyKeys(k *keymgmt.Keys) *keymgmt.Keys {
	c := *k
	c.IDs = slices.Clone(k.IDs)
	c.Bytes = qsc.NewSecret(slices.Clone(k.Bytes.Expose()))
	return &c
}
