package wide

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
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Keys are drawn every few milliseconds.
const (
	drawEvery = 10 * time.Millisecond
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
	number int   // of keys at once
	bits   int64 // of a key

	mu     sync.Mutex
	keys   int
	failed int           // requests
	why    string        // the last failure
	last   time.Time     // of the last pair of answers
	gap    time.Duration // longest between two, since mark
	told   told
	unlike int
}

// draw begins to draw so many keys of so many bits at once.
func draw(t *testing.T, master, slave *sae, number int, bits int64) *drawing {
	ctx, stop := context.WithCancel(t.Context())
	d := &drawing{t: t, stop: stop, master: master, slave: slave, number: number, bits: bits, last: time.Now()}
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
		enc, err = d.master.client.EncKeys(ctx, string(d.slave.id), etsi014.KeyRequest{Number: d.number, Size: d.bits})
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
	said := tell(d.t, enc.Extension)
	same := len(enc.IDs) == d.number && bytes.Equal(enc.Bytes.Expose(), dec.Bytes.Expose())
	d.mu.Lock()
	defer d.mu.Unlock()
	if !same {
		d.unlike++
	}
	now := time.Now()
	d.keys, d.told, d.gap, d.last = d.keys+d.number, said, max(d.gap, now.Sub(d.last)), now
}

// insist makes a request until it is met, and reports whether it was.
func (d *drawing) insist(ctx context.Context, what string, ask func(context.Context) error) bool {
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, callTime)
		err := ask(call)
		cancel()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		d.mu.Lock()
		d.failed++
		d.why = fmt.Sprint(what, ": ", err)
		d.mu.Unlock()
		if qsc.IsKind(err, qsc.NotFound) || qsc.IsKind(err, qsc.Denied) || errors.Is(err, context.DeadlineExceeded) && what == "dec_keys" {
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
	told         told
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
	s := span{d.keys, d.failed, max(d.gap, time.Since(d.last)), d.why, d.told}
	d.keys, d.failed, d.gap, d.why, d.unlike = 0, 0, 0, "", 0
	return s
}

// end stops drawing.
func (d *drawing) end() {
	d.stop()
	d.work.Wait()
}

// drawn is how many keys were drawn since the last mark.
func (d *drawing) drawn() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys
}

// settled waits until the controller's routes are in use and key flows.
func (n *network) settled(d *drawing, from, to qsc.NodeID, p keymgmt.Protection) keymgmt.Route {
	n.t.Helper()
	var r keymgmt.Route
	n.until("the controller's routes", time.Now(), func() bool {
		if n.status(from).Control.Flows == 0 {
			return false
		}
		r = n.route(from, to, p)
		return r.Epoch > 0
	})
	n.until("keys", time.Now(), func() bool { return d.drawn() > 50*d.number })
	return r
}
