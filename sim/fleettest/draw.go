package fleettest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
)

const (
	tryAgain = 20 * time.Millisecond // after a request that failed
	callTime = 5 * time.Second       // of one request
)

// Plan is how keys are drawn.
type Plan struct {
	Every  time.Duration // between two draws
	Number int           // of keys at once
	Bits   int64         // of a key
	// Lost are kinds of error by which dec_keys says that a key is lost, beside
	// NotFound, Denied and no answer in time: the next one is drawn. After any other
	// the request is made again.
	Lost []qsc.Kind
}

// Told is what a KME says of keys in key_container_extension.
type Told struct {
	Class    string `json:"qsc_class"`
	Hops     int    `json:"qsc_hops"`
	Paths    int    `json:"qsc_paths"`
	Need     int    `json:"qsc_need"`
	Disjoint bool   `json:"qsc_disjoint"`
}

// Tell reads an extension.
func Tell(t testing.TB, extension []byte) (s Told) {
	t.Helper()
	if err := json.Unmarshal(extension, &s); err != nil {
		t.Error("key_container_extension:", err)
	}
	return s
}

// Drawing is one pair of applications: one draws key and the other fetches it,
// without end.
type Drawing struct {
	t             testing.TB
	plan          Plan
	stop          context.CancelFunc
	work          sync.WaitGroup
	master, slave *SAE
	draws, takes  *etsi014.Client

	mu     sync.Mutex
	span   Span // since the last mark
	unlike int
	last   time.Time // of the last pair of answers
}

// Draw begins to draw; the end of the test ends it.
func Draw(t testing.TB, master, slave *SAE, p Plan) *Drawing {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	d := &Drawing{t: t, plan: p, stop: stop, master: master, slave: slave, draws: master.Client(callTime), takes: slave.Client(callTime), last: time.Now()}
	d.work.Go(func() {
		tick := time.NewTicker(p.Every)
		defer tick.Stop()
		for ctx.Err() == nil {
			d.once(ctx)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(d.End)
	return d
}

// once draws keys at one end and fetches them at the other.
func (d *Drawing) once(ctx context.Context) {
	var enc, dec *etsi014.Container
	if !d.insist(ctx, "enc_keys", func(ctx context.Context) (err error) {
		enc, err = d.draws.EncKeys(ctx, string(d.slave.ID), etsi014.KeyRequest{Number: d.plan.Number, Size: d.plan.Bits})
		return err
	}) {
		return
	}
	defer enc.Bytes.Zeroise()
	if !d.insist(ctx, "dec_keys", func(ctx context.Context) (err error) {
		dec, err = d.takes.DecKeys(ctx, string(d.master.ID), enc.IDs...)
		return err
	}) {
		return
	}
	defer dec.Bytes.Zeroise()
	d.note(enc, dec)
}

// note counts a pair of answers and compares them.
func (d *Drawing) note(enc, dec *etsi014.Container) {
	told := Tell(d.t, enc.Extension)
	same := len(enc.IDs) == d.plan.Number && int64(enc.Size)*8 == d.plan.Bits && bytes.Equal(enc.Bytes.Expose(), dec.Bytes.Expose())
	d.mu.Lock()
	defer d.mu.Unlock()
	if !same {
		d.unlike++
	}
	now := time.Now()
	d.span.Draws++
	d.span.Keys, d.span.Told, d.span.Gap, d.last = d.span.Keys+d.plan.Number, told, max(d.span.Gap, now.Sub(d.last)), now
}

// insist makes a request until it is met, and reports whether it was.
func (d *Drawing) insist(ctx context.Context, what string, ask func(context.Context) error) bool {
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, callTime)
		err := ask(call)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		d.mu.Lock()
		d.span.Failed++
		d.span.Why = fmt.Sprint(what, ": ", err)
		d.mu.Unlock()
		if what == "dec_keys" && d.lost(err) {
			return false
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

// lost reports whether an error of dec_keys says that the key is not to be had.
func (d *Drawing) lost(err error) bool {
	return qsc.IsKind(err, qsc.NotFound) || qsc.IsKind(err, qsc.Denied) || errors.Is(err, context.DeadlineExceeded) ||
		slices.Contains(d.plan.Lost, qsc.KindOf(err))
}

// Span is what was drawn from one mark to the next.
type Span struct {
	Draws  int // that both ends have
	Keys   int
	Failed int           // requests
	Why    string        // the last failure
	Gap    time.Duration // the longest between two answers; the one that the mark cuts counts on both sides
	Told   Told          // of the last keys, from before the mark when there were none
}

func (s Span) String() string {
	text := fmt.Sprintf("%d keys, longest pause %v, %d requests failed", s.Keys, s.Gap.Round(time.Millisecond), s.Failed)
	if s.Why != "" {
		text += ", the last with " + s.Why
	}
	return text
}

// longestPause is how long no key may come at all while a node, a link or a
// controller falls out: 3 s in the long tests. The short ones run beside others on
// machines that stand still now and then; there a way around takes several such times.
var longestPause = func() time.Duration {
	if os.Getenv("QSC_LONG") != "" {
		return 3 * time.Second
	}
	return 10 * time.Second
}()

// slower is by how much a pause may be longer than those of a time when nothing was
// wrong: all processes of a network share a machine with whatever else it does.
const slower = 10

// Calm logs a span, and fails the test when drawing stood still for too long: longer
// than longestPause, or on a machine so busy that key pauses anyway, as the spans of calm show,
// ten times as long as then.
func (s Span) Calm(t testing.TB, what string, calm ...Span) {
	t.Helper()
	t.Logf("%s: %v", what, s)
	limit := longestPause
	for _, c := range calm {
		limit = max(limit, slower*c.Gap)
	}
	if s.Keys == 0 || s.Gap > limit {
		t.Errorf("%s: key must keep coming, without a pause of %v: %v", what, limit, s)
	}
}

// Mark ends a span and begins another. It fails the test when keys differed.
func (d *Drawing) Mark() Span {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unlike > 0 {
		d.t.Errorf("%d answers differed at the two ends, or were not what was asked for", d.unlike)
	}
	s := d.span
	s.Gap = max(s.Gap, time.Since(d.last))
	d.span, d.unlike = Span{Told: s.Told}, 0
	return s
}

// Now is what was drawn since the last mark.
func (d *Drawing) Now() Span {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.span
}

// Bytes is how much key the span holds of a drawing.
func (d *Drawing) Bytes(s Span) int64 { return int64(s.Keys) * d.plan.Bits / 8 }

// End stops drawing.
func (d *Drawing) End() {
	d.stop()
	d.work.Wait()
}

func (d *Drawing) String() string { return fmt.Sprintf("%s to %s", d.master.ID, d.slave.ID) }
