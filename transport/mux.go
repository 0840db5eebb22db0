package transport

import (
	"io"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
)

// The session's secret byte stream is a sequence of chunks:
//
//	stream id  uint32   odd ids are opened by end A, even ids by end B
//	type       uint8
//	length     uint24   of what follows
//
// Data is bounded by the window that the receiver grants, so one slow request
// neither holds up the others nor fills memory.
const (
	chunkOpen   = 1 + iota // method (1 byte), head
	chunkData              // message bytes
	chunkCredit            // uint32: more bytes may be sent
	chunkEnd               // the sender has no more messages
	chunkReset             // error record: the sender has given up
)

const (
	chunkHead = 8
	maxData   = 64 << 10 // bytes of data in one chunk
	window    = 4 << 20  // bytes in flight in one direction of one stream
	outLimit  = 2 << 20  // bytes that wait in a session to be sealed
	maxPipes  = 512      // streams open at once in one session
)

// pipe is one stream's state in its session. All fields are guarded by the
// session's mutex.
type pipe struct {
	session *session
	id      uint32
	change  sync.Cond // anything below has changed

	credit  int // bytes we may still send
	lent    int // segments of out that are the sender's own memory
	ended   bool
	in      [][]byte // received, not yet read: buffers of the chunk pool
	inHead  int      // bytes of the first that were read
	inBytes int
	dst     []byte // what a reader waits to have filled; then in is empty
	read    int    // bytes read since the last credit was given
	eof     bool   // the peer has ended its side
	err     error
}

func newPipe(s *session, id uint32) *pipe {
	p := &pipe{session: s, id: id, credit: window}
	p.change.L = &s.mu
	return p
}

// write appends head and the concatenation of parts to the stream. It returns
// once all is sealed, for what is long is sealed from the caller's own memory.
func (p *pipe) write(head []byte, parts ...[]byte) error {
	p.session.mu.Lock()
	defer p.session.mu.Unlock()
	if err := p.append(head); err != nil {
		return err
	}
	for _, b := range parts {
		if err := p.append(b); err != nil {
			return err
		}
	}
	for p.lent > 0 && p.err == nil {
		p.change.Wait()
	}
	return p.err
}

func (p *pipe) append(b []byte) error {
	for len(b) > 0 {
		n, err := p.await(len(b))
		if err != nil {
			return err
		}
		p.session.putData(p, b[:n])
		p.credit -= n
		b = b[n:]
	}
	return nil
}

// await waits until some of n bytes may be sent and returns how many.
func (p *pipe) await(n int) (int, error) {
	s := p.session
	for {
		switch {
		case p.err != nil:
			return 0, p.err
		case p.ended:
			return 0, qsc.E("transport.Send", qsc.Invalid, string(s.peer), "request has ended")
		case p.credit == 0:
			p.change.Wait()
		case s.outLen >= outLimit:
			s.crowd[p] = struct{}{}
			p.change.Wait()
			delete(s.crowd, p)
		default:
			return min(n, p.credit, maxData), nil
		}
	}
}

func (p *pipe) closeWrite() error {
	p.session.mu.Lock()
	defer p.session.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if !p.ended {
		p.ended = true
		p.session.put(p.id, chunkEnd, nil)
		p.session.release(p)
	}
	return nil
}

// readFull fills b; io.EOF only if the peer had ended before the first byte.
func (p *pipe) readFull(b []byte) error {
	s := p.session
	s.mu.Lock()
	defer s.mu.Unlock()
	for done := 0; done < len(b); {
		switch {
		case p.inBytes > 0:
			done += p.take(b[done:])
		case p.err != nil:
			return p.err
		case p.eof && done > 0:
			return io.ErrUnexpectedEOF
		case p.eof:
			return io.EOF
		default:
			done += p.awaitInto(b[done:])
		}
	}
	return nil
}

// awaitInto lets what comes next be written straight into b, and returns how
// much came once b is full or the stream has ended.
func (p *pipe) awaitInto(b []byte) int {
	p.dst = b
	for len(p.dst) > 0 && !p.eof && p.err == nil {
		p.change.Wait()
	}
	n := len(b) - len(p.dst)
	p.dst = nil
	return n
}

// take copies received bytes out.
func (p *pipe) take(b []byte) int {
	n := copy(b, p.in[0][p.inHead:])
	if p.inHead += n; p.inHead == len(p.in[0]) {
		chunkPool.put(p.in[0])
		p.in[0] = nil
		p.in, p.inHead = p.in[1:], 0
	}
	p.inBytes -= n
	p.account(n)
	return n
}

// account gives credit for what was read, in large steps.
func (p *pipe) account(n int) {
	if p.read += n; p.read >= window/4 && !p.eof && p.err == nil {
		p.session.putCredit(p.id, p.read)
		p.read = 0
	}
}

// reset ends the stream with err unless it has ended well; tell says whether
// the peer is to know.
func (p *pipe) reset(err error, tell bool) {
	s := p.session
	s.mu.Lock()
	defer s.mu.Unlock()
	p.resetLocked(err, tell)
}

func (p *pipe) resetLocked(err error, tell bool) {
	s := p.session
	if p.err != nil || s.pipes[p.id] != p {
		return
	}
	p.err = err
	delete(s.pipes, p.id)
	s.takeBack(p)
	if tell {
		s.put(p.id, chunkReset, errorRecord(err))
	}
	p.change.Broadcast()
}

// release forgets a stream that both sides have ended.
func (s *session) release(p *pipe) {
	if p.ended && p.eof {
		delete(s.pipes, p.id)
	}
}

func (s *session) putCredit(id uint32, n int) {
	s.put(id, chunkCredit, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// open begins a stream of ours.
func (s *session) open(m Method, head []byte) (*pipe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if len(s.pipes) >= maxPipes {
		return nil, qsc.E("transport.Call", qsc.Busy, string(s.peer), "%d requests are open already", len(s.pipes))
	}
	p := newPipe(s, s.nextID)
	s.nextID += 2
	s.pipes[p.id] = p
	s.put(p.id, chunkOpen, append([]byte{byte(m)}, head...))
	return p, nil
}
