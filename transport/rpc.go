package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
)

// Stream is one request: a sequence of messages both ways, each a 32-bit length
// and that many bytes. One goroutine may send while another receives.
type Stream struct {
	*pipe
	ctx  context.Context
	stop func() bool
	msg  []byte
}

func newStream(ctx context.Context, p *pipe) *Stream {
	s := &Stream{pipe: p, ctx: ctx}
	s.stop = context.AfterFunc(ctx, func() { p.reset(contextError(ctx, p.session.peer), true) })
	return s
}

func contextError(ctx context.Context, peer qsc.NodeID) error {
	cause := context.Cause(ctx)
	if e := (*qsc.Error)(nil); errors.As(cause, &e) {
		return e
	}
	return qsc.E("transport", qsc.Timeout, string(peer), "request given up: %w", cause)
}

// Peer is the node at the other end, authenticated by its pads.
func (s *Stream) Peer() qsc.NodeID { return s.session.peer }

// Send writes one message, the concatenation of parts, of at most MaxMessage
// bytes. It waits for key and for
// the peer; it returns before the message has arrived. Errors: Invalid,
// Unreachable, Timeout, and the peer's own error once it has given up.
func (s *Stream) Send(parts ...[]byte) error {
	n := 0
	for _, b := range parts {
		n += len(b)
	}
	if n > MaxMessage {
		return qsc.E("transport.Send", qsc.Invalid, string(s.Peer()), "message of %d bytes is over the limit of %d", n, MaxMessage)
	}
	if s.ctx.Err() != nil { // the reset that follows may come late
		return contextError(s.ctx, s.Peer())
	}
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(n))
	return s.write(head[:], parts...)
}

// End tells the peer that no more messages come.
func (s *Stream) End() error { return s.closeWrite() }

// Recv returns the next message, valid until the next call, and io.EOF when the
// peer has ended its side. An error that the peer returned comes with its Kind.
func (s *Stream) Recv() ([]byte, error) {
	var head [4]byte
	if err := s.readFull(head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxMessage {
		return nil, qsc.E("transport.Recv", qsc.Corrupt, string(s.Peer()), "message of %d bytes is over the limit of %d", n, MaxMessage)
	}
	if cap(s.msg) < int(n) {
		s.msg = make([]byte, n)
	}
	s.msg = s.msg[:n]
	if err := s.readFull(s.msg); err != nil {
		if err == io.EOF {
			err = qsc.E("transport.Recv", qsc.Corrupt, string(s.Peer()), "message is cut short")
		}
		return nil, err
	}
	return s.msg, nil
}

// Close ends the request. If the two sides have not both ended, the peer is
// told to stop.
func (s *Stream) Close() error {
	s.stop()
	s.reset(qsc.E("transport", qsc.Timeout, string(s.Peer()), "request was closed"), true)
	return nil
}

const maxErrorText = 4 << 10

// errorRecord passes an error on with its Kind; its text holds no secret, as no
// error of ours does.
func errorRecord(err error) []byte {
	text := err.Error()
	w := wire.Writer{}
	return w.U8(uint8(qsc.KindOf(err))).Text(text[:min(len(text), maxErrorText)]).B
}

func parseErrorRecord(b []byte, peer qsc.NodeID) error {
	r := wire.NewReader(b)
	kind, text := qsc.Kind(r.U8()), r.Text()
	if err := r.Done(); err != nil {
		return err
	}
	return &qsc.Error{Op: "peer", Kind: kind, Node: string(peer), Err: errors.New(text)}
}
