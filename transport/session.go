package transport

import (
	"context"
	"encoding/binary"
	"net"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
)

// A frame is sealed, with bytes of the session's secret stream, or in clear under
// a one-time tag, with bytes of its public stream (public.go), never both. Its
// body is
//
//	seq    uint64   number of this frame in its direction, from 0
//	ack    uint64   number of the next frame expected of the peer
//	length uint32   of the stream bytes that follow
//	…               the next bytes of that stream
//	…               zeros up to a multiple of 16, in a sealed frame
//
// so that every frame's pad begins at a multiple of 16, as its tag's bound asks.
// A frame without stream bytes is a bare acknowledgement: it takes no number
// and is not kept. It is in clear, as there is nothing to hide.
const (
	bodyHead   = 20
	bodyStep   = 16
	maxBody    = 256 << 10 // of a frame: text, pad and seal fit the L2 cache
	minTail    = 1 << 10   // stream bytes for which a smaller pad is not taken
	keepLimit  = 8 << 20   // memory of frames kept until they are acknowledged
	ackAfter   = 1 << 20   // received bytes, in the sender's memory, after which one is sent unasked
	frameLimit = otp.Overhead + maxBody
)

// session is the reliable stream between two nodes. It outlives connections:
// sealed frames are kept until acknowledged and sent again unchanged on the next
// connection, so a dropped connection costs no key and never seals twice under
// one pad. It does not outlive either process.
type session struct {
	id   [16]byte
	peer qsc.NodeID

	mu    sync.Mutex
	work  sync.Cond       // out, kept, acknowledgements or the connection have changed
	err   error           // once set, the session is over
	ctx   context.Context // ends with the session
	end   context.CancelCauseFunc
	pipes map[uint32]*pipe
	crowd map[*pipe]struct{} // waiting for room in out

	nextID uint32
	out    []segment // chunks that wait to be sealed
	outLen int       // bytes of them
	part   []byte    // received bytes of a chunk that is not whole yet
	pub    public
	clear  bool // the last frame was in clear: the next one is not, if both wait

	sendSeq uint64 // number of the next frame
	kept    []sealed
	keptLen int
	recvSeq uint64 // number of the next frame expected
	unacked int    // bytes received since we last acknowledged

	waiting bool // a frame waits for couriered key
	stuck   int  // connections in a row that broke on a frame
}

// sealed is a frame that the peer has not acknowledged.
type sealed struct {
	seq     uint64
	pos     uint64
	frame   []byte
	written bool // Write has returned: the frame may be recycled
}

func newSession(id [16]byte, peer qsc.NodeID, end int) *session {
	s := &session{id: id, peer: peer, nextID: uint32(end) + 1, pub: newPublic(),
		pipes: map[uint32]*pipe{}, crowd: map[*pipe]struct{}{}}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.work.L = &s.mu
	return s
}

// fail ends the session and everything in it.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	for _, p := range s.pipes {
		p.resetLocked(err, false)
	}
	s.kept, s.out, s.keptLen, s.outLen = nil, nil, 0, 0
	s.pub.drop()
	s.end(err)
	s.work.Broadcast()
}

// failure is why the session is over, nil while it is not.
func (s *session) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// oldest returns the pad position of the first frame that may be sent again.
func (s *session) oldest() (pos uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == 0 {
		return 0, false
	}
	return s.kept[0].pos, true
}

func (s *session) received() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recvSeq
}

// acknowledge drops the frames below seq. The caller holds the mutex.
func (s *session) acknowledge(seq uint64) {
	n := 0
	for n < len(s.kept) && s.kept[n].seq < seq {
		s.keptLen -= cap(s.kept[n].frame)
		if s.kept[n].written {
			framePool.put(s.kept[n].frame)
		}
		s.kept[n] = sealed{}
		n++
	}
	s.kept = s.kept[n:]
	s.work.Broadcast()
}

// carrier is one connection's turn at carrying a session.
type carrier struct {
	*session
	conn   net.Conn
	closed bool // guarded by the session's mutex
}

// close ends the turn; the session lives on.
func (c *carrier) close() {
	_ = c.conn.Close()
	c.mu.Lock()
	c.closed = true
	c.work.Broadcast()
	c.mu.Unlock()
}

// next waits for something to send and says what: a frame in clear or a sealed
// one, and how many stream bytes there are for a sealed one. ok is false when the
// turn is over.
func (c *carrier) next() (n int, open, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		secret, public := c.outLen > 0, len(c.pub.out) > 0
		switch {
		case c.closed || c.err != nil:
			return 0, false, false
		case (secret || public) && c.keptLen < keepLimit:
			c.clear = public && !(secret && c.clear)
			return min(c.outLen, maxBody-bodyHead), c.clear, true
		case c.unacked >= ackAfter:
			return 0, true, true
		}
		c.work.Wait()
	}
}

// bodySize is the length of a body with n stream bytes.
func bodySize(n int) int { return (bodyHead + n + bodyStep - 1) / bodyStep * bodyStep }

// fill writes the body of the next frame with as many stream bytes as it holds.
func (c *carrier) fill(body []byte) (seq uint64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = c.drain(body[bodyHead:])
	c.putHead(body, n)
	clear(body[bodyHead+n:])
	for p := range c.crowd {
		p.change.Broadcast()
	}
	return c.sendSeq, n
}

// putHead begins the body of the next frame, of n stream bytes.
func (c *carrier) putHead(body []byte, n int) {
	binary.BigEndian.PutUint64(body, c.sendSeq)
	binary.BigEndian.PutUint64(body[8:], c.recvSeq)
	binary.BigEndian.PutUint32(body[16:], uint32(n))
	c.unacked = 0
}

// keep remembers a sealed frame until it is acknowledged.
func (c *carrier) keep(f sealed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sendSeq++
	c.kept = append(c.kept, f)
	c.keptLen += cap(f.frame)
}

// wrote says that the newest frame has left.
func (c *carrier) wrote(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.kept); n > 0 && c.kept[n-1].seq == seq {
		c.kept[n-1].written = true
	}
}

// news is what a frame has brought.
type news struct {
	begun []request // requests that the peer begins
	told  bool      // public messages, and nobody delivers them yet
}

// take hands an opened body, in clear or secret, to the session.
func (c *carrier) take(body []byte, open bool) (news, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(body) < bodyHead || int64(len(body)-bodyHead) < int64(binary.BigEndian.Uint32(body[16:])) {
		return news{}, qsc.E("transport.Read", qsc.Corrupt, string(c.peer), "malformed frame body")
	}
	stream := body[bodyHead:][:binary.BigEndian.Uint32(body[16:])]
	c.stuck = 0
	c.acknowledge(binary.BigEndian.Uint64(body[8:]))
	if len(stream) == 0 {
		return news{}, nil
	}
	if seq := binary.BigEndian.Uint64(body); seq != c.recvSeq {
		return news{}, qsc.E("transport.Read", qsc.Conflict, string(c.peer), "frame %d came where %d was due", seq, c.recvSeq)
	}
	c.recvSeq++
	if c.unacked += framePool.room(otp.Overhead + len(body)); c.unacked >= ackAfter {
		c.work.Signal()
	}
	if open {
		return c.hear(stream)
	}
	begun, err := c.feed(stream)
	return news{begun: begun}, err
}
