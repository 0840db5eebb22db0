package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

const (
	methodEcho = Method(200)
	methodSum  = Method(201)
	methodFail = Method(202)
	methodHang = Method(203)
)

var handlers = map[Method]Handler{
	methodEcho: func(_ context.Context, _ qsc.NodeID, head []byte, s *Stream) error {
		for {
			m, err := s.Recv()
			if err == io.EOF {
				return s.Send(head)
			}
			if err != nil {
				return err
			}
			if err := s.Send(m); err != nil {
				return err
			}
		}
	},
	methodSum: func(_ context.Context, _ qsc.NodeID, _ []byte, s *Stream) error {
		h := sha256.New()
		for {
			m, err := s.Recv()
			if err == io.EOF {
				return s.Send(h.Sum(nil))
			}
			if err != nil {
				return err
			}
			h.Write(m)
		}
	},
	methodFail: func(context.Context, qsc.NodeID, []byte, *Stream) error {
		return qsc.E("test", qsc.NoSpace, "", "the disk is full of tests")
	},
	methodHang: func(ctx context.Context, _ qsc.NodeID, _ []byte, _ *Stream) error {
		<-ctx.Done()
		return ctx.Err()
	},
}

// world is two nodes and the wire between them.
type world struct {
	t        testing.TB
	la, lb   *memLedger
	a, b     *Endpoint
	wire     *tap
	listener string
	hear     [2]hearing    // what a and b do with public messages
	wait     time.Duration // how long a call waits for the link
}

type hearing func(ctx context.Context, peer qsc.NodeID, msg []byte)

func newWorld(t *testing.T, pad int) *world { return newHearingWorld(t, pad, nil, nil) }

func newHearingWorld(t *testing.T, pad int, a, b hearing) *world {
	w := &world{t: t, hear: [2]hearing{a, b}, wait: time.Minute}
	w.la, w.lb = memPair(pad)
	w.startB()
	w.wire = newTap(t, w.listener)
	w.startA()
	t.Cleanup(func() { _ = w.a.Close(); _ = w.b.Close() })
	return w
}

var quiet = slog.New(slog.DiscardHandler)

func (w *world) startA() {
	w.a = Open(Config{Node: "a", Handlers: handlers, Receive: w.hear[0], Logger: quiet, wait: w.wait, Links: []LinkConfig{
		{ID: "a-b", End: 0, Peer: "b", Addr: w.wire.l.Addr().String(), Ledger: w.la}}})
}

func (w *world) startB() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.listener = l.Addr().String()
	w.b = Open(Config{Node: "b", Handlers: handlers, Receive: w.hear[1], Logger: quiet, Listener: l,
		Links: []LinkConfig{{ID: "a-b", End: 1, Peer: "a", Ledger: w.lb}},
		wait:  w.wait,
		gone:  time.Minute}) // a cut is none of a process here, however late the machine takes it up again
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// echo sends messages and expects them back.
func echo(ctx context.Context, e *Endpoint, peer qsc.NodeID, head []byte, msgs ...[]byte) error {
	s, err := e.Call(ctx, peer, methodEcho, head)
	if err != nil {
		return err
	}
	defer s.Close()
	for i, m := range msgs {
		if err := s.Send(m); err != nil {
			return err
		}
		back, err := s.Recv()
		if err != nil {
			return err
		}
		if !bytes.Equal(back, m) {
			return fmt.Errorf("message %d of %d bytes came back changed", i, len(m))
		}
	}
	if err := s.End(); err != nil {
		return err
	}
	if back, err := s.Recv(); err != nil || !bytes.Equal(back, head) {
		return fmt.Errorf("head came back changed: %w", err)
	}
	if _, err := s.Recv(); err != io.EOF {
		return fmt.Errorf("no end of the stream: %w", err)
	}
	return nil
}

func TestEchoBothWays(t *testing.T) {
	w := newWorld(t, 8<<20)
	msgs := [][]byte{nil, {1}, noise(1, 1000), noise(2, 70_000), noise(3, 1<<20)}
	if err := echo(t.Context(), w.a, "b", []byte("hello"), msgs...); err != nil {
		t.Fatal(err)
	}
	if err := echo(t.Context(), w.b, "a", []byte("hello back"), msgs...); err != nil {
		t.Fatal(err)
	}
}

func TestNothingInClear(t *testing.T) {
	w := newWorld(t, 1<<20)
	head, body := []byte("SiteCreate patient record"), bytes.Repeat([]byte("plain text "), 500)
	if err := echo(t.Context(), w.a, "b", head, body); err != nil {
		t.Fatal(err)
	}
	for _, s := range [][]byte{head[:8], body[:8], []byte("hello")} {
		if w.wire.contains(s) {
			t.Errorf("%q passed in clear", s)
		}
	}
	if frames, _ := w.wire.checkPads(); frames < 4 {
		t.Errorf("only %d frames passed", frames)
	}
}

func TestManyStreamsAtOnce(t *testing.T) {
	w := newWorld(t, 24<<20)
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for i := range 32 {
		wg.Go(func() { errs <- echo(t.Context(), w.a, "b", nil, noise(byte(i), 100_000+i)) })
		wg.Go(func() { errs <- echo(t.Context(), w.b, "a", nil, noise(byte(i), 1000*i)) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.wire.checkPads()
}

// A cable that is cut again and again costs no message and no second use of a
// pad: frames are sent again as they were.
func TestCutsAreBridged(t *testing.T) {
	w := newWorld(t, 48<<20)
	s, err := w.a.Call(t.Context(), "b", methodSum, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := sha256.New()
	for i := range 160 {
		m := noise(byte(i), 100_000)
		h.Write(m)
		if i%20 == 10 {
			w.wire.cut()
		}
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.End(); err != nil {
		t.Fatal(err)
	}
	sum, err := s.Recv()
	if err != nil || !bytes.Equal(sum, h.Sum(nil)) {
		t.Fatal("what arrived differs from what was sent", err)
	}
	frames, again := w.wire.checkPads()
	if st := w.a.Status()[0]; st.Resumed == 0 {
		t.Error("no connection was resumed")
	}
	t.Logf("%d frames, %d sent again", frames, again)
}

func TestTamperedFrameCostsNothing(t *testing.T) {
	w := newWorld(t, 8<<20)
	if err := echo(t.Context(), w.a, "b", nil, noise(1, 10)); err != nil {
		t.Fatal(err)
	}
	once := true
	w.wire.mu.Lock()
	w.wire.twist = func(b []byte) {
		if once && len(b) > 100 {
			b[len(b)/2] ^= 1
			once = false
		}
	}
	w.wire.mu.Unlock()
	if err := echo(t.Context(), w.a, "b", nil, noise(2, 200_000)); err != nil {
		t.Fatal(err)
	}
	w.wire.mu.Lock()
	defer w.wire.mu.Unlock()
	if once {
		t.Fatal("nothing was changed on the wire")
	}
}

// When key runs out a transfer stands still, says so, and goes on.
func TestKeyRunsOutAndComesBack(t *testing.T) {
	w := newWorld(t, 4<<20)
	lane := keymgmt.SendData(0)
	w.la.allow(lane, 100_000)
	done := make(chan error, 1)
	go func() { done <- echo(t.Context(), w.a, "b", nil, noise(1, 1<<20)) }()
	for w.wire.volume() < 100_000 {
		select {
		case err := <-done:
			t.Fatal("ended without key:", err)
		case <-time.After(time.Millisecond):
		}
	}
	w.la.allow(lane, 4<<20)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// After its context nothing more is said in a request.
func TestNoMessageAfterCancel(t *testing.T) {
	w := newWorld(t, 1<<20)
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := w.a.Call(ctx, "b", methodSum, nil)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := s.Send(nil); !qsc.IsKind(err, qsc.Timeout) {
			t.Fatal("got", err)
		}
		_ = s.Close()
	}
}

// Giving up a request that waits for key returns at once.
func TestCancelWithoutKey(t *testing.T) {
	w := newWorld(t, 4<<20)
	w.la.allow(keymgmt.SendData(0), 50_000)
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- echo(ctx, w.a, "b", nil, noise(1, 4<<20)) }()
	for w.wire.volume() < 50_000 {
		time.Sleep(time.Millisecond)
	}
	cancel(errors.New("enough"))
	if err := <-done; !qsc.IsKind(err, qsc.Timeout) {
		t.Fatal("got", err)
	}
}

func TestPeerRestarts(t *testing.T) {
	w := newWorld(t, 8<<20)
	if err := echo(t.Context(), w.a, "b", nil, noise(1, 1000)); err != nil {
		t.Fatal(err)
	}
	s, err := w.a.Call(t.Context(), "b", methodHang, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := w.b.Close(); err != nil {
		t.Fatal(err)
	}
	w.startB()
	w.wire.lead(w.listener)
	if _, err := s.Recv(); !qsc.IsKind(err, qsc.Unreachable) {
		t.Fatal("a request to a process that died ended with", err)
	}
	for {
		if err = echo(t.Context(), w.a, "b", nil, noise(2, 1000)); !qsc.IsKind(err, qsc.Unreachable) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	w.wire.checkPads()
}

func TestErrorsKeepTheirKind(t *testing.T) {
	w := newWorld(t, 1<<20)
	s, err := w.a.Call(t.Context(), "b", methodFail, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Recv(); !qsc.IsKind(err, qsc.NoSpace) {
		t.Error("got", err)
	}
	u, err := w.a.Call(t.Context(), "b", Method(77), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if _, err := u.Recv(); !qsc.IsKind(err, qsc.Unsupported) {
		t.Error("got", err)
	}
	if _, err := w.a.Call(t.Context(), "nobody", methodEcho, nil); !qsc.IsKind(err, qsc.NotFound) {
		t.Error("got", err)
	}
	if _, err := w.a.Call(t.Context(), "b", methodEcho, make([]byte, MaxHead+1)); !qsc.IsKind(err, qsc.Invalid) {
		t.Error("got", err)
	}
	if err := s.Send(make([]byte, MaxMessage+1)); !qsc.IsKind(err, qsc.Invalid) {
		t.Error("got", err)
	}
}

// A recorded handshake is worth nothing: its slots are spent.
func TestReplayedConnection(t *testing.T) {
	w := newWorld(t, 1<<20)
	if err := echo(t.Context(), w.a, "b", nil, noise(1, 1000)); err != nil {
		t.Fatal(err)
	}
	w.wire.mu.Lock()
	record := append([]byte(nil), w.wire.streams[0].Bytes()...)
	w.wire.mu.Unlock()
	c, err := net.Dial("tcp", w.listener)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(record); err != nil {
		t.Fatal(err)
	}
	back, _ := io.ReadAll(c)
	if len(back) > len(preface)+9 {
		t.Fatalf("%d bytes came back to a replay", len(back))
	}
	if err := echo(t.Context(), w.a, "b", nil, noise(2, 1000)); err != nil {
		t.Fatal("the true session suffered:", err)
	}
}

func TestStrangers(t *testing.T) {
	w := newWorld(t, 1<<20)
	for _, hi := range []string{"", "GET / HTTP/1.1\r\n\r\n", "QSC1\xff\xff", "QSC1\x00\x03x-y"} {
		c, err := net.Dial("tcp", w.listener)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, hi)
		if hi == "" {
			_ = c.Close()
			continue
		}
		back, _ := io.ReadAll(c)
		_ = c.Close()
		if want := hi[len(hi)-1] == 'y'; (len(back) > 0) != want {
			t.Errorf("%q got %d bytes", hi, len(back))
		}
	}
	if err := echo(t.Context(), w.a, "b", nil, noise(2, 1000)); err != nil {
		t.Fatal(err)
	}
}

// A node whose ledger was restored from an old copy is refused before it has
// spent a slot: the listener has seen later ones.
func TestRestoredDialler(t *testing.T) {
	w := newWorld(t, 1<<20)
	if err := echo(t.Context(), w.a, "b", nil, noise(1, 1000)); err != nil {
		t.Fatal(err)
	}
	_ = w.a.Close()
	old, _ := memPair(1 << 20)
	w.la = old
	w.wait = time.Millisecond // the refusal is told when the wait is over
	w.startA()
	for {
		_, err := w.a.Call(t.Context(), "b", methodEcho, nil)
		if qsc.IsKind(err, qsc.Conflict) {
			break
		}
		if !qsc.IsKind(err, qsc.Unreachable) {
			t.Fatal("got", err)
		}
	}
	w.wire.checkPads()
}

// A session that one end has given up is not taken up again and again: the ends
// begin a new one.
func TestFailedSessionIsLeft(t *testing.T) {
	w := newWorld(t, 8<<20)
	if err := echo(t.Context(), w.a, "b", nil, noise(1, 1000)); err != nil {
		t.Fatal(err)
	}
	s, _, _ := w.b.links[0].current()
	s.fail(qsc.E("test", qsc.Exhausted, "", "a frame that cannot be opened"))
	w.wire.cut()
	for {
		err := echo(t.Context(), w.a, "b", nil, noise(2, 1000))
		if err == nil {
			break
		}
		if k := qsc.KindOf(err); k != qsc.Unreachable {
			t.Fatal("got", err)
		}
	}
	if now, _, _ := w.b.links[0].current(); now == s {
		t.Error("the failed session is carried still")
	}
	w.wire.checkPads()
}
