package transport

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// A session's public stream is a sequence of chunks with the head of mux.go, id 0:
//
//	type 3, credit    uint32: more bytes may be sent
//	type 6, message   at most MaxPublic bytes, whole
//
// A message uses its length and envelope of the window that the receiver grants;
// it gets it back once Config.Receive has returned.
const (
	chunkMessage = 6
	publicWindow = 4 << 20
	envelope     = 256 // so that many short messages do not fill memory either
)

// MaxPublic is the greatest length of a public message, in bytes.
const MaxPublic = 2 << 20

// public is a session's public stream in both directions. Its channels apart, it
// is guarded by the session's mutex.
type public struct {
	turn   chan struct{} // full while somebody sends
	more   chan struct{} // full when credit came
	credit int           // of the window, not used yet
	out    []outFrame    // frames that wait for pad

	head    [chunkHead]byte // of the chunk that comes in
	headLen int
	chunk   []byte   // its content so far…
	got     int      // …of which so much is there
	in      [][]byte // whole messages that wait for delivery
	held    int      // of the window: used by the peer and not given back
	read    int      // of held: delivered
	busy    bool     // somebody delivers
}

// outFrame is a clear frame in the making: stream bytes behind the room for its
// headers, in a buffer with room for its tag.
type outFrame struct {
	buf []byte
	n   int // stream bytes
}

const outHead = otp.HeaderSize + bodyHead

func newPublic() public {
	return public{turn: make(chan struct{}, 1), more: make(chan struct{}, 1), credit: publicWindow}
}

// drop forgets all messages.
func (p *public) drop() { p.out, p.in, p.chunk, p.headLen = nil, nil, nil, 0 }

var _ keymgmt.Carrier = (*Endpoint)(nil)

// Send implements keymgmt.Carrier. The message, at most MaxPublic bytes, is not
// secret: it crosses the link in clear, under a one-time tag that says it is this
// node's. It reaches the peer's Config.Receive once and in order, or, when the
// session is lost, not at all.
//
// While the session waits for its connection to come back Send goes on queueing,
// up to the window; without a session it returns at once.
//
// Errors: NotFound without a link; Unreachable when there is no session or it is
// lost before the message is queued; Timeout when ctx ends first; Invalid for too
// long a message.
func (e *Endpoint) Send(ctx context.Context, peer qsc.NodeID, parts ...[]byte) error {
	const op = "transport.Send"
	n := 0
	for _, b := range parts {
		n += len(b)
	}
	if n > MaxPublic {
		return qsc.E(op, qsc.Invalid, string(peer), "public message of %d bytes is over the limit of %d", n, MaxPublic)
	}
	if ctx.Err() != nil {
		return contextError(ctx, peer)
	}
	known, why := false, error(nil)
	for _, l := range e.links {
		if l.cfg.Peer != peer {
			continue
		}
		s, _, err := l.current()
		if s != nil {
			return s.say(ctx, n, parts)
		}
		known, why = true, err
	}
	if !known {
		return qsc.E(op, qsc.NotFound, string(peer), "node %s has no link to it", e.cfg.Node)
	}
	return lostTo(peer, why)
}

func lostTo(peer qsc.NodeID, why error) error {
	if why == nil {
		return qsc.E("transport.Send", qsc.Unreachable, string(peer), "no connection yet")
	}
	return qsc.E("transport.Send", qsc.Unreachable, string(peer), "the link is down: %w", why)
}

// say queues a message of n bytes once there is room for it in the window. Those
// who wait are served in turn, so that short messages do not keep long ones out.
func (s *session) say(ctx context.Context, n int, parts [][]byte) error {
	select {
	case s.pub.turn <- struct{}{}:
		defer func() { <-s.pub.turn }()
	case <-ctx.Done():
		return contextError(ctx, s.peer)
	case <-s.ctx.Done():
		return lostTo(s.peer, context.Cause(s.ctx))
	}
	for {
		if done, err := s.trySay(n, parts); done {
			return err
		}
		select {
		case <-s.pub.more:
		case <-ctx.Done():
			return contextError(ctx, s.peer)
		case <-s.ctx.Done():
		}
	}
}

// trySay queues a message unless the window has no room for it.
func (s *session) trySay(n int, parts [][]byte) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return true, lostTo(s.peer, s.err)
	}
	if s.pub.credit < n+envelope {
		return false, nil
	}
	s.pub.credit -= n + envelope
	s.pub.put(n+chunkHead, chunkHeader(0, chunkMessage, n))
	for _, b := range parts {
		s.pub.put(n, b)
	}
	s.work.Signal()
	return true, nil
}

// put appends b to the stream; total is about how many bytes come now. The first
// frame that waits is as small as it may be, for it is likely to leave at once;
// those behind it are larger and larger.
func (p *public) put(total int, b []byte) {
	for len(b) > 0 {
		last := len(p.out) - 1
		if last < 0 || outHead+p.out[last].n+otp.TagSize == len(p.out[last].buf) {
			size := outHead + total + otp.TagSize
			if last >= 0 {
				size = max(size, 4*len(p.out[last].buf))
			}
			p.out = append(p.out, outFrame{buf: framePool.get(min(size, frameLimit))})
			last++
		}
		f := &p.out[last]
		n := copy(f.buf[outHead+f.n:len(f.buf)-otp.TagSize], b)
		f.n += n
		b = b[n:]
	}
}

// fillClear returns the next public frame, sealed but for its header and tag, its
// number and how many stream bytes it has; with none it is an acknowledgement.
func (c *carrier) fillClear() (frame []byte, seq uint64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := outFrame{}
	if len(c.pub.out) > 0 && c.keptLen < keepLimit {
		f = c.pub.out[0]
		c.pub.out[0] = outFrame{}
		c.pub.out = c.pub.out[1:]
	}
	f.fit()
	c.putHead(f.buf[otp.HeaderSize:], f.n)
	return f.buf[:outHead+f.n+otp.TagSize], c.sendSeq, f.n
}

// fit moves a frame to the smallest buffer that holds it: what is kept weighs as
// much as its buffer, here and in the peer's count of what to acknowledge.
func (f *outFrame) fit() {
	old := f.buf
	if size := outHead + f.n + otp.TagSize; len(old) != framePool.room(size) {
		f.buf = framePool.get(size)
		copy(f.buf[outHead:], old[min(outHead, len(old)):][:f.n])
		framePool.put(old)
	}
}
