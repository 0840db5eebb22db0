package photons

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014"
)

// Keys are drawn every few milliseconds, so many at once: slower than a link of the
// triangle makes them, faster than what it has in store lasts.
const (
	drawEvery = 20 * time.Millisecond
	drawKeys  = 7
	keyBits   = 256
	tryAgain  = 20 * time.Millisecond // after a request that failed
	callTime  = 5 * time.Second       // of one request
)

// drawing is one pair of applications that draws and fetches without end.
type drawing struct {
	t      *testing.T
	stop   context.CancelFunc
	work   sync.WaitGroup
	master *sae
	slave  *sae

	mu     sync.Mutex
	keys   int
	failed int    // requests
	why    string // the last failure
	hops   int    // of the last keys
	last   time.Time
	gap    time.Duration // longest between two answers, since mark
	unlike int
}

// draw begins to draw between two applications.
func draw(t *testing.T, master, slave *sae) *drawing {
	ctx, stop := context.WithCancel(t.Context())
	d := &drawing{t: t, stop: stop, master: master, slave: slave, last: time.Now()}
	d.work.Go(func() {
		tick := time.NewTicker(drawEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			d.once(ctx)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(d.end)
	return d
}

// once draws keys at one end and fetches them at the other.
func (d *drawing) once(ctx context.Context) {
	var enc, dec *etsi014.Container
	if !d.insist(ctx, "enc_keys", func(ctx context.Context) (err error) {
		enc, err = d.master.client.EncKeys(ctx, string(d.slave.id), etsi014.KeyRequest{Number: drawKeys, Size: keyBits})
		return err
	}) {
		return
	}
	defer enc.Bytes.Zeroise()
	if !d.insist(ctx, "dec_keys", func(ctx context.Context) (err error) {
		dec, err = d.slave.client.DecKeys(ctx, string(d.master.id), enc.IDs...)
		return err
	}) {
		return
	}
	defer dec.Bytes.Zeroise()
	same := len(enc.IDs) == drawKeys && bytes.Equal(enc.Bytes.Expose(), dec.Bytes.Expose())
	d.mu.Lock()
	defer d.mu.Unlock()
	if !same {
		d.unlike++
	}
	now := time.Now()
	d.keys, d.hops, d.gap, d.last = d.keys+drawKeys, hops(d.t, enc.Extension), max(d.gap, now.Sub(d.last)), now
}

// insist makes a request until it is met, and reports whether it was.
func (d *drawing) insist(ctx context.Context, what string, ask func(context.Context) error) bool {
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, callTime)
		err := ask(call)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		d.mu.Lock()
		d.failed++
		d.why = fmt.Sprint(what, ": ", err)
		d.mu.Unlock()
		if what == "dec_keys" && (qsc.IsKind(err, qsc.NotFound) || qsc.IsKind(err, qsc.Denied) || qsc.IsKind(err, qsc.Invalid) || errors.Is(err, context.DeadlineExceeded)) {
			return false // that key is lost: the next one
		}
		t := time.NewTimer(tryAgain)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	return false
}

// span is what was drawn since the last mark.
type span struct {
	keys, failed int
	gap          time.Duration
	why          string
	hops         int
}

func (s span) String() string {
	text := fmt.Sprintf("%d keys, longest pause %v, %d requests failed", s.keys, s.gap.Round(time.Millisecond), s.failed)
	if s.why != "" {
		text += ", the last with " + s.why
	}
	return text
}

// mark ends a span and begins another. It fails the test when keys differed.
func (d *drawing) mark() span {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unlike > 0 {
		d.t.Errorf("%d answers differed at the two ends", d.unlike)
	}
	s := span{d.keys, d.failed, max(d.gap, time.Since(d.last)), d.why, d.hops}
	d.keys, d.failed, d.gap, d.why, d.unlike, d.last = 0, 0, 0, "", 0, time.Now()
	return s
}

// drawn is how many bytes of key were drawn since the last mark, and over how many
// links the last of them came.
func (d *drawing) drawn() (bytes int64, hops int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(d.keys) * keyBits / 8, d.hops
}

// end stops drawing.
func (d *drawing) end() {
	d.stop()
	d.work.Wait()
}
