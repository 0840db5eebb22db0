package progress

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vbauerster/mpb/v8/decor"

	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

func TestCountsWhatPasses(t *testing.T) {
	b := Start(t.Context(), false, "scan", 100, nil)
	defer b.Stop()
	if _, err := io.Copy(b.Writer(io.Discard), strings.NewReader(strings.Repeat("x", 40))); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, b.Reader(strings.NewReader("1234567890"))); err != nil {
		t.Fatal(err)
	}
	if got := b.done.Load(); got != 50 {
		t.Errorf("%d bytes counted, 50 passed", got)
	}
}

func TestText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Start(t.Context(), false, "scan", 1<<20, nil)
		defer b.Stop()
		see := func(want string) {
			t.Helper()
			if got := b.text(decor.Statistics{}); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		}
		see(" 0 %  of 1.00 MiB")
		time.Sleep(time.Second) // virtual
		b.Set(1 << 18)
		see(" 25 %  256 KiB of 1.00 MiB  0.26 MB/s  3 s left")
		why := "waiting for key on a-b"
		b.why.Store(&why)
		see(" 256 KiB of 1.00 MiB  waiting for key on a-b")
		why = ""
		b.Set(1 << 20)
		see(" 100 %  1.00 MiB  finishing: waiting until it is durable")
		b.total = -1
		see(" 1.00 MiB  1.05 MB/s")
	})
}

// The reason is asked for only while nothing moves.
func TestAsksWhenNothingMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := Start(ctx, false, "scan", 100, nil)
		var asked atomic.Int32
		b.wg.Go(func() {
			b.ask(ctx, func(context.Context) string { asked.Add(1); return "no key" }, func(string) {})
		})
		time.Sleep(askEvery + time.Millisecond) // virtual
		b.Set(10)
		time.Sleep(askEvery)
		if asked.Load() != 0 || *b.why.Load() != "" {
			t.Errorf("asked %d times while it moved", asked.Load())
		}
		time.Sleep(askEvery)
		synctest.Wait()
		if asked.Load() != 1 || *b.why.Load() != "no key" {
			t.Errorf("asked %d times while it stood still: %q", asked.Load(), *b.why.Load())
		}
		cancel()
		b.Stop()
	})
}

func TestNoBarButOnTerminals(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Wanted(f) || Wanted(&bytes.Buffer{}) {
		t.Error("a bar is wanted where there is no terminal")
	}
}

func TestWaitingFor(t *testing.T) {
	s := admin.Status{Links: []admin.Link{{ID: "a-b", Waiting: true}, {ID: "a-c"}, {ID: "a-d", Waiting: true}}}
	if got := WaitingFor(s); got != "waiting for key on a-b, a-d" {
		t.Error(got)
	}
	if got := WaitingFor(admin.Status{}); got != "" {
		t.Error(got)
	}
}

func TestLongLabelsAreCut(t *testing.T) {
	if got := short(strings.Repeat("é", 100)); len([]rune(got)) > labelSize {
		t.Errorf("label %q", got)
	}
	if got := short("a\nb"); got != `"a\nb"` {
		t.Errorf("label %q", got)
	}
}

func TestTellsOncePerReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		b := Start(t.Context(), false, "scan", 100, nil)
		b.Tell(t.Context(), &said, func(context.Context) string { return "no key" })
		time.Sleep(5 * askEvery) // virtual
		b.Stop()
		if got := said.String(); got != "qsc: scan: no key\n" {
			t.Errorf("said %q", got)
		}
	})
}
