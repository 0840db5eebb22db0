package transport

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
)

// request is a stream that the peer has opened.
type request struct {
	pipe   *pipe
	method Method
	head   []byte
}

// feed takes the next plaintext of the session, which may end anywhere in a
// chunk, and hands the whole chunks out. It returns the requests that began.
// The caller holds the mutex. An error is the peer's breach of the protocol.
func (s *session) feed(b []byte) ([]request, error) {
	if len(s.part) > 0 {
		s.part = append(s.part, b...)
		b = s.part
	}
	var begun []request
	for {
		data, kind, id, rest, err := cutChunk(b)
		if err != nil {
			return begun, err
		}
		if rest == nil {
			break
		}
		r, err := s.chunk(id, kind, data)
		if err != nil {
			return begun, err
		}
		if r != nil {
			begun = append(begun, *r)
		}
		b = rest
	}
	s.part = append(s.part[:0], b...)
	return begun, nil
}

// cutChunk splits the first whole chunk off b; rest is nil when there is none.
func cutChunk(b []byte) (data []byte, kind byte, id uint32, rest []byte, err error) {
	if len(b) < chunkHead {
		return nil, 0, 0, nil, nil
	}
	id, kind = binary.BigEndian.Uint32(b), b[4]
	n := int(b[5])<<16 | int(b[6])<<8 | int(b[7])
	if n > max(maxData, MaxHead+1) {
		return nil, 0, 0, nil, qsc.E("transport.Read", qsc.Corrupt, "", "chunk of %d bytes is over the limit", n)
	}
	if len(b) < chunkHead+n {
		return nil, 0, 0, nil, nil
	}
	return b[chunkHead : chunkHead+n], kind, id, b[chunkHead+n:], nil
}

func (s *session) chunk(id uint32, kind byte, data []byte) (*request, error) {
	if kind == chunkOpen {
		return s.accept(id, data)
	}
	p := s.pipes[id]
	if p == nil {
		return nil, nil // given up here while it was on its way
	}
	switch kind {
	case chunkData:
		return nil, p.receive(data)
	case chunkCredit:
		if len(data) != 4 {
			return nil, qsc.E("transport.Read", qsc.Corrupt, string(s.peer), "malformed credit")
		}
		p.credit = min(p.credit+int(binary.BigEndian.Uint32(data)), window)
	case chunkEnd:
		p.eof = true
		s.release(p)
	case chunkReset:
		p.resetLocked(parseErrorRecord(data, s.peer), false)
	default:
		return nil, qsc.E("transport.Read", qsc.Corrupt, string(s.peer), "unknown chunk type %d", kind)
	}
	p.change.Broadcast()
	return nil, nil
}

func (p *pipe) receive(data []byte) error {
	if p.inBytes+len(data) > window {
		return qsc.E("transport.Read", qsc.Corrupt, string(p.session.peer), "peer sends more than its window")
	}
	if n := copy(p.dst, data); n > 0 {
		p.dst, data = p.dst[n:], data[n:]
		p.account(n)
		if len(p.dst) == 0 {
			p.change.Broadcast()
		}
	}
	p.inBytes += len(data)
	if last := len(p.in) - 1; last >= 0 { // small chunks share a buffer
		n := min(len(data), cap(p.in[last])-len(p.in[last]))
		p.in[last] = append(p.in[last], data[:n]...)
		data = data[n:]
	}
	if len(data) > 0 {
		p.in = append(p.in, append(chunkPool.get(maxData)[:0], data...))
	}
	p.change.Broadcast()
	return nil
}

// accept begins a stream of the peer's; too many are refused one by one.
func (s *session) accept(id uint32, data []byte) (*request, error) {
	if len(data) < 1 || id%2 == s.nextID%2 || s.pipes[id] != nil {
		return nil, qsc.E("transport.Read", qsc.Corrupt, string(s.peer), "malformed request")
	}
	if len(s.pipes) >= maxPipes {
		s.put(id, chunkReset, errorRecord(qsc.E("transport.Serve", qsc.Busy, "", "%d requests are open already", len(s.pipes))))
		return nil, nil
	}
	p := newPipe(s, id)
	s.pipes[id] = p
	return &request{p, Method(data[0]), append([]byte(nil), data[1:]...)}, nil
}
