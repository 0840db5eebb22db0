// Package progress draws one bar for a long transfer, with its rate and the time
// left, when standard error is a terminal, and nothing otherwise.
//
// It measures what passes and moves nothing itself.
package progress

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

const (
	quiet     = 300 * time.Millisecond // shorter work draws no bar
	askEvery  = time.Second
	labelSize = 28 // characters of the text before the bar
)

// Bar counts the bytes of one piece of work. All methods may be called from
// several goroutines.
type Bar struct {
	label string
	done  atomic.Int64
	total int64 // negative: not known
	why   atomic.Pointer[string]
	start time.Time
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

// Start begins a bar for total bytes, or for an unknown number when total is
// negative. stalled, if not nil, is asked now and then while nothing moves; it
// returns the reason in words or "". draw says whether there is to be a bar at
// all: use Wanted.
func Start(ctx context.Context, draw bool, label string, total int64, stalled func(context.Context) string) *Bar {
	ctx, cancel := context.WithCancel(ctx)
	b := &Bar{label: short(label), total: total, start: time.Now(), stop: cancel}
	b.why.Store(new(string))
	if draw {
		b.wg.Go(func() { b.draw(ctx) })
		if stalled != nil {
			b.wg.Go(func() { b.ask(ctx, stalled, func(string) {}) })
		}
	}
	return b
}

// Tell writes a line to w whenever the work begins to stand still for another
// reason: for those who see no bar.
func (b *Bar) Tell(ctx context.Context, w io.Writer, stalled func(context.Context) string) {
	ctx, cancel := context.WithCancel(ctx)
	stop := b.stop
	b.stop = func() { cancel(); stop() }
	b.wg.Go(func() {
		b.ask(ctx, stalled, func(why string) { fmt.Fprintf(w, "qsc: %s: %s\n", b.label, why) })
	})
}

// Wanted reports whether w is a terminal, on which bars are drawn.
func Wanted(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// Add counts n bytes more.
func (b *Bar) Add(n int) { b.done.Add(int64(n)) }

// Set takes a count as package node reports it.
func (b *Bar) Set(done int64) { b.done.Store(done) }

// Reader counts what is read from r.
func (b *Bar) Reader(r io.Reader) io.Reader { return &reader{r, b} }

// Writer counts what is written to w.
func (b *Bar) Writer(w io.Writer) io.Writer { return &writer{w, b} }

// Stop removes the bar.
func (b *Bar) Stop() {
	b.stop()
	b.wg.Wait()
}

type reader struct {
	r io.Reader
	b *Bar
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.b.Add(n)
	return n, err
}

type writer struct {
	w io.Writer
	b *Bar
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.b.Add(n)
	return n, err
}

// draw waits a moment, so that short work stays silent, and then draws until ctx
// ends.
func (b *Bar) draw(ctx context.Context) {
	t := time.NewTimer(quiet)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return
	case <-t.C:
	}
	p := mpb.New(mpb.WithOutput(os.Stderr), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithWidth(64))
	bar := p.New(max(b.total, 0), style(b.total), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(b.label, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(b.text)))
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			// A "^C" that the terminal has echoed stands in the way of mpb, which
			// clears from the cursor's column on.
			fmt.Fprint(os.Stderr, "\r")
			bar.Abort(true)
			p.Wait()
			return
		case <-tick.C:
			bar.SetCurrent(min(b.done.Load(), max(0, b.total-1))) // complete only when the caller says so
		}
	}
}

func style(total int64) mpb.BarFillerBuilder {
	if total < 0 {
		return mpb.SpinnerStyle()
	}
	return mpb.BarStyle().Lbound("[").Filler("#").Tip("#").Padding(".").Rbound("]")
}

// text is what stands behind the bar.
func (b *Bar) text(decor.Statistics) string {
	done := b.done.Load()
	if why := *b.why.Load(); why != "" {
		return fmt.Sprintf(" %s of %s  %s", show.Bytes(done), b.size(), why)
	}
	took := time.Since(b.start)
	s := fmt.Sprintf(" %s  %s", show.Bytes(done), show.Speed(done, took))
	switch {
	case b.total <= 0:
		return s
	case done >= b.total:
		return fmt.Sprintf(" 100 %%  %s  finishing: waiting until it is durable", show.Bytes(done))
	case done == 0:
		return fmt.Sprintf(" 0 %%  of %s", b.size())
	}
	left := time.Duration(float64(took) * float64(b.total-done) / float64(done))
	return fmt.Sprintf(" %d %%  %s of %s  %s  %s left", done*100/b.total, show.Bytes(done), b.size(), show.Speed(done, took), show.Duration(left.Round(time.Second)))
}

func (b *Bar) size() string {
	if b.total < 0 {
		return "?"
	}
	return show.Bytes(b.total)
}

// ask looks for the reason whenever nothing has moved for a while.
func (b *Bar) ask(ctx context.Context, stalled func(context.Context) string, tell func(why string)) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	last := int64(-1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		why := ""
		if now := b.done.Load(); now == last {
			why = stalled(ctx)
		} else {
			last = now
		}
		if why != "" && why != *b.why.Load() {
			tell(why)
		}
		b.why.Store(&why)
	}
}

// short fits a label into the space before the bar.
func short(s string) string {
	r := []rune(show.Name(s))
	if len(r) <= labelSize {
		return string(r)
	}
	return strings.TrimSpace(string(r[:labelSize-3])) + "..."
}

// WaitingFor names the links of a node that wait for key, "" when none does.
func WaitingFor(s admin.Status) string {
	var ids []string
	for _, l := range s.Links {
		if l.Waiting {
			ids = append(ids, string(l.ID))
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return "waiting for key on " + strings.Join(ids, ", ")
}
