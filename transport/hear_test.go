package transport

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Where both wait, secret and public frames take turns.
func TestTurns(t *testing.T) {
	s := newSession([16]byte{}, "peer", 0)
	c := &carrier{session: s}
	s.put(1, chunkData, make([]byte, 100))
	s.pub.put(100, make([]byte, 100))
	var clears [6]bool
	for i := range clears {
		n, open, ok := c.next()
		if !ok || n != 100+chunkHead {
			t.Fatal(n, ok)
		}
		clears[i] = open
	}
	if clears != [6]bool{true, false, true, false, true, false} {
		t.Errorf("the turns in clear are %v", clears)
	}
	s.out, s.outLen = nil, 0
	for range 2 {
		if _, open, _ := c.next(); !open {
			t.Error("a public frame did not go where only public ones wait")
		}
	}
}

// What only secret frames may carry is refused in a clear one; a session that is
// over hears nothing.
func TestHearRefuses(t *testing.T) {
	chunk := func(id uint32, kind byte, n int) []byte { return append(chunkHeader(id, kind, n), make([]byte, 8)...) }
	for name, b := range map[string][]byte{
		"a request":         chunk(2, chunkOpen, 8),
		"data":              chunk(1, chunkData, 8),
		"a stream's credit": chunk(1, chunkCredit, 4),
		"long credit":       chunk(0, chunkCredit, 8),
		"long message":      chunk(0, chunkMessage, MaxPublic+1),
		"message of stream": chunk(1, chunkMessage, 8),
	} {
		s := newSession([16]byte{}, "peer", 1)
		if _, err := s.hear(b); !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := newSession([16]byte{}, "peer", 1)
	big := append(chunkHeader(0, chunkMessage, MaxPublic), make([]byte, MaxPublic)...)
	if _, err := s.hear(big); err != nil {
		t.Fatal(err)
	}
	if _, err := s.hear(big); !qsc.IsKind(err, qsc.Corrupt) {
		t.Errorf("more than the window: %v", err)
	}
	s.fail(errors.New("over"))
	if got, err := s.hear(chunk(0, chunkMessage, 8)); err != nil || got.told || s.nextMessage() != nil {
		t.Errorf("a session that is over hears: %v", err)
	}
}

// A handshake is never in clear.
func TestHelloInClearIsRefused(t *testing.T) {
	la, _ := memPair(0)
	l := newLink(LinkConfig{ID: "a-b", End: 1, Peer: "a", Ledger: la}, quiet)
	frame := make([]byte, otp.Overhead+helloSize)
	otp.Header{Lane: keymgmt.ControlAB, Len: helloSize, Clear: true}.Put(frame)
	if _, err := l.recvHello(t.Context(), bytes.NewReader(frame)); !qsc.IsKind(err, qsc.Invalid) {
		t.Error("got", err)
	}
}

// TestFit keeps the sender's count of what is kept equal to the receiver's.
func TestFit(t *testing.T) {
	s := newSession([16]byte{}, "peer", 0)
	c := &carrier{session: s}
	var stream bytes.Buffer
	for i, n := range []int{1, 5000, 40_000, maxBody, 100, 300_000, 0, 70} {
		m := noise(byte(i), n)
		s.pub.put(n, m)
		stream.Write(m)
	}
	for len(s.pub.out) > 0 {
		frame, _, n := c.fillClear()
		if cap(frame) != framePool.room(otp.Overhead+bodyHead+n) || len(frame) != otp.Overhead+bodyHead+n {
			t.Errorf("%d stream bytes in a frame of %d and a buffer of %d", n, len(frame), cap(frame))
		}
		if !bytes.Equal(frame[outHead:][:n], stream.Next(n)) {
			t.Error("the stream has changed")
		}
	}
	if stream.Len() > 0 {
		t.Errorf("%d bytes were lost", stream.Len())
	}
	if frame, _, n := c.fillClear(); n != 0 || len(frame) != otp.Overhead+bodyHead {
		t.Errorf("an acknowledgement has %d bytes", len(frame))
	}
}

func TestSmallChunksShareBuffers(t *testing.T) {
	s := newSession([16]byte{}, "peer", 0)
	p := newPipe(s, 1)
	want := noise(1, 200_000)
	for b := want; len(b) > 0; {
		n := min(len(b), 77)
		if err := p.receive(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	if len(p.in) != (len(want)+maxData-1)/maxData {
		t.Errorf("%d bytes lie in %d buffers", len(want), len(p.in))
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(readerFunc(func(b []byte) (int, error) { return len(b), p.readFull(b) }), got); err != nil || !bytes.Equal(got, want) {
		t.Error("the data came back changed", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
