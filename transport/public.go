package transport

import (
	"context"
	"encoding/binary"

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

// hear takes the next bytes of the public stream, which may end anywhere. The
// caller holds the mutex. An error is the peer's breach of the protocol.
func (s *session) hear(b []byte) (news, error) {
	p := &s.pub
	if s.err != nil {
		return news{}, nil // its place in the stream is forgotten
	}
	for len(b) > 0 || p.headLen == chunkHead {
		if p.headLen < chunkHead {
			n := copy(p.head[p.headLen:], b)
			p.headLen += n
			b = b[n:]
			if p.headLen < chunkHead {
				break
			}
			if err := s.beginChunk(); err != nil {
				return news{}, err
			}
		}
		n := copy(p.chunk[p.got:], b)
		p.got += n
		b = b[n:]
		if p.got < len(p.chunk) {
			break
		}
		p.endChunk()
	}
	told := len(p.in) > 0 && !p.busy
	p.busy = p.busy || told
	return news{told: told}, nil
}

// beginChunk makes room for the chunk whose head is there.
func (s *session) beginChunk() error {
	p := &s.pub
	id, kind := binary.BigEndian.Uint32(p.head[:]), p.head[4]
	n := int(p.head[5])<<16 | int(p.head[6])<<8 | int(p.head[7])
	switch {
	case id == 0 && kind == chunkCredit && n == 4:
	case id != 0 || kind != chunkMessage || n > MaxPublic:
		return qsc.E("transport.Read", qsc.Corrupt, string(s.peer), "chunk of type %d and %d bytes in the public stream", kind, n)
	case p.held+n+envelope > publicWindow:
		return qsc.E("transport.Read", qsc.Corrupt, string(s.peer), "peer sends more public messages than its window")
	default:
		p.held += n + envelope
	}
	p.chunk, p.got = messagePool.get(n)[:n], 0
	return nil
}

func (p *public) endChunk() {
	chunk := p.chunk
	p.chunk, p.headLen = nil, 0
	if p.head[4] == chunkMessage {
		p.in = append(p.in, chunk)
		return
	}
	p.credit = min(p.credit+int(binary.BigEndian.Uint32(chunk)), publicWindow)
	messagePool.put(chunk)
	select {
	case p.more <- struct{}{}:
	default: // it is full already
	}
}

// deliver hands out the messages of a session until there is none.
func (e *Endpoint) deliver(s *session) {
	ctx, cancel := context.WithCancelCause(e.ctx)
	defer cancel(nil)
	stop := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	defer stop()
	for msg := s.nextMessage(); msg != nil; msg = s.nextMessage() {
		if e.cfg.Receive != nil {
			e.cfg.Receive(ctx, s.peer, msg)
		}
		s.delivered(msg)
	}
}

// nextMessage returns nil when none waits; delivery is then over.
func (s *session) nextMessage() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pub.in) == 0 {
		s.pub.busy = false
		return nil
	}
	msg := s.pub.in[0]
	s.pub.in[0] = nil
	s.pub.in = s.pub.in[1:]
	return msg
}

// delivered gives the peer its window back, in large steps.
func (s *session) delivered(msg []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.pub
	if p.read += len(msg) + envelope; p.read >= publicWindow/4 && s.err == nil {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(p.read))
		p.put(chunkHead+4, chunkHeader(0, chunkCredit, 4))
		p.put(4, n[:])
		p.held -= p.read
		p.read = 0
		s.work.Signal()
	}
	messagePool.put(msg)
}
