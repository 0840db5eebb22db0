package transport

import (
	"context"
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
)

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
