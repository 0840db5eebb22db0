package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// ear hands messages on in the order in which they came.
func ear(n int) (chan []byte, hearing) {
	c := make(chan []byte, n)
	return c, func(_ context.Context, _ qsc.NodeID, msg []byte) { c <- bytes.Clone(msg) }
}

// numbered is a message that tells its place.
func numbered(i, n int) []byte {
	b := noise(byte(i), max(n, 4))
	binary.BigEndian.PutUint32(b, uint32(i))
	return b
}

// say sends, and waits for a link that is just coming up.
func say(ctx context.Context, e *Endpoint, peer qsc.NodeID, parts ...[]byte) error {
	if _, err := e.sessionTo(ctx, peer); err != nil {
		return err
	}
	return e.Send(ctx, peer, parts...)
}

func TestPublicBothWays(t *testing.T) {
	atA, hearA := ear(64)
	atB, hearB := ear(64)
	w := newHearingWorld(t, 8<<20, hearA, hearB)
	sizes := []int{0, 1, 100, 64 << 10, maxBody, maxBody + 1, 1 << 20, MaxPublic, 3}
	var wg sync.WaitGroup
	for _, way := range []struct {
		from *Endpoint
		to   qsc.NodeID
	}{{w.a, "b"}, {w.b, "a"}} {
		wg.Go(func() {
			for i, n := range sizes {
				m := noise(byte(i), n)
				if err := say(t.Context(), way.from, way.to, m[:n/3], nil, m[n/3:]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if err := echo(t.Context(), w.a, "b", []byte("head"), bytes.Repeat([]byte("secret text "), 50_000)); err != nil {
		t.Error(err)
	}
	for i, n := range sizes {
		for end, at := range []chan []byte{atA, atB} {
			if m := <-at; !bytes.Equal(m, noise(byte(i), n)) {
				t.Fatalf("message %d of %d bytes reached end %d changed, with %d bytes", i, n, end, len(m))
			}
		}
	}
	wg.Wait()
	if w.wire.contains([]byte("secret text ")) {
		t.Error("a secret passed in clear")
	}
	long := noise(7, MaxPublic)[MaxPublic/2:]
	if !w.wire.contains(long[:1000]) && !w.wire.contains(long[1000:2000]) { // a frame may end within one
		t.Error("a public message did not pass in clear")
	}
	w.wire.checkPads()
}

// A public message costs the pad of its tags only.
func TestPublicCost(t *testing.T) {
	at, hear := ear(1)
	w := newHearingWorld(t, 1<<20, nil, hear)
	used := func() int {
		w.la.mu.Lock()
		defer w.la.mu.Unlock()
		return int(w.la.next[keymgmt.SendData(0)])
	}
	if err := say(t.Context(), w.a, "b", nil); err != nil {
		t.Fatal(err)
	}
	<-at
	before := used()
	for n, frames := range map[int]int{10: 1, 100_000: 1, 200_000: 1, MaxPublic: 9} {
		start := used()
		if err := w.a.Send(t.Context(), "b", make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		<-at
		// What the peer owes in window or acknowledgements is paid from its own lane.
		if got := used() - start; got > frames*otp.KeyOverhead+otp.KeyOverhead {
			t.Errorf("%d bytes cost %d bytes of pad, %d frames", n, got, got/otp.KeyOverhead)
		}
	}
	if used() == before {
		t.Error("messages went without a tag")
	}
}

// A receiver that blocks stops the sender at the window, and nothing else.
func TestSlowReceiver(t *testing.T) {
	gate := make(chan struct{})
	heard := make(chan uint32, 4096)
	w := newHearingWorld(t, 24<<20, nil, func(_ context.Context, _ qsc.NodeID, msg []byte) {
		<-gate
		heard <- binary.BigEndian.Uint32(msg)
	})
	if err := say(t.Context(), w.a, "b", numbered(0, 4)); err != nil {
		t.Fatal(err)
	}
	s, _, _ := w.a.links[0].current()
	full := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.pub.credit < 100_000+envelope
	}
	sent := 1
	for ; !full(); sent++ {
		if err := w.a.Send(t.Context(), "b", numbered(sent, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.a.Send(ctx, "b", numbered(sent, 100_000)); !qsc.IsKind(err, qsc.Timeout) {
		t.Fatal("a message beyond the window:", err)
	}
	if bytes := sent * (100_000 + envelope); bytes < publicWindow-200_000 || bytes > publicWindow+200_000 {
		t.Errorf("the sender stopped after %d bytes, the window is %d", bytes, publicWindow)
	}
	if err := echo(t.Context(), w.a, "b", nil, noise(1, 6<<20)[:MaxMessage]); err != nil {
		t.Fatal("a request stood still with the messages:", err)
	}
	close(gate)
	for i := range sent {
		if got := <-heard; got != uint32(i) {
			t.Fatalf("message %d came where %d was due", got, i)
		}
	}
	if err := w.a.Send(t.Context(), "b", numbered(sent, MaxPublic)); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != uint32(sent) {
		t.Fatalf("message %d came where %d was due", got, sent)
	}
}

// Those who wait for the window are served in turn: short messages do not keep a
// long one out.
func TestLongMessageAmongShortOnes(t *testing.T) {
	w := newHearingWorld(t, 24<<20, nil, func(context.Context, qsc.NodeID, []byte) {})
	if err := say(t.Context(), w.a, "b", nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for m := make([]byte, 4000); ctx.Err() == nil; {
				_ = w.a.Send(ctx, "b", m)
			}
		})
	}
	for i := range 5 {
		if err := w.a.Send(ctx, "b", make([]byte, MaxPublic)); err != nil {
			t.Error(i, err)
		}
	}
	stop()
	wg.Wait()
}

// Cuts lose, repeat and reorder nothing while the session lives.
func TestPublicOverCuts(t *testing.T) {
	at, hear := ear(400)
	w := newHearingWorld(t, 16<<20, nil, hear)
	for i := range 400 {
		if i%50 == 25 {
			w.wire.cut()
		}
		if err := say(t.Context(), w.a, "b", numbered(i, 20_000+i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 400 {
		if m := <-at; !bytes.Equal(m, numbered(i, 20_000+i)) {
			t.Fatalf("message %d came changed or where %d was due", binary.BigEndian.Uint32(m), i)
		}
	}
	if st := w.a.Status()[0]; st.Resumed == 0 {
		t.Error("no connection was resumed")
	}
	w.wire.checkPads()
}

// Many short messages in one direction are acknowledged, so that they neither
// stop nor pile up.
func TestManyShortMessages(t *testing.T) {
	at, hear := ear(1)
	w := newHearingWorld(t, 1<<20, nil, hear)
	for i := range 3000 {
		if err := say(t.Context(), w.a, "b", numbered(i, 4)); err != nil {
			t.Fatal(err)
		}
		if m := <-at; binary.BigEndian.Uint32(m) != uint32(i) {
			t.Fatalf("message %d came where %d was due", binary.BigEndian.Uint32(m), i)
		}
	}
	s, _, _ := w.a.links[0].current()
	kept := func() (frames, weight, book int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, f := range s.kept {
			weight += cap(f.frame)
		}
		return len(s.kept), weight, s.keptLen
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) { // the last acknowledgement may be under way
		frames, weight, book := kept()
		if weight == book && weight <= ackAfter+frameLimit {
			return
		}
		if weight != book || time.Now().After(end) {
			t.Fatalf("%d frames of %d bytes are kept, the book says %d", frames, weight, book)
		}
	}
}

// What queues up leaves in few frames.
func TestShortMessagesShareFrames(t *testing.T) {
	at, hear := ear(1)
	w := newHearingWorld(t, 1<<20, nil, hear)
	if err := say(t.Context(), w.a, "b", numbered(0, 4)); err != nil {
		t.Fatal(err)
	}
	<-at
	lane := keymgmt.SendData(0)
	w.la.mu.Lock()
	start := int(w.la.next[lane])
	w.la.mu.Unlock()
	w.la.allow(lane, start)
	for i := range 2000 {
		if err := w.a.Send(t.Context(), "b", numbered(i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	w.la.allow(lane, 1<<20)
	for i := range 2000 {
		if m := <-at; binary.BigEndian.Uint32(m) != uint32(i) {
			t.Fatalf("message %d came where %d was due", binary.BigEndian.Uint32(m), i)
		}
	}
	w.la.mu.Lock()
	defer w.la.mu.Unlock()
	if frames := (int(w.la.next[lane]) - start) / otp.KeyOverhead; frames > 12 {
		t.Errorf("2000 messages of 100 bytes took %d frames", frames)
	}
}

// Messages and a request's data share a link; both end.
func TestMessagesBesideRequests(t *testing.T) {
	at, hear := ear(64)
	w := newHearingWorld(t, 64<<20, nil, hear)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := range 10 {
			if err := echo(t.Context(), w.a, "b", nil, noise(byte(i), 3<<20)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for i := range 300 {
			if err := say(t.Context(), w.a, "b", numbered(i, 100_000)); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 300 {
		if m := <-at; !bytes.Equal(m, numbered(i, 100_000)) {
			t.Fatalf("message %d came changed or where %d was due", binary.BigEndian.Uint32(m), i)
		}
	}
}
