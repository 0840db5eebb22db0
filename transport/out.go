package transport

// segment is a run of the session's outgoing bytes.
type segment struct {
	b  []byte
	of *pipe // not nil: b is memory of this stream's sender, who waits for it
}

// lendFrom is the least data that is sealed from the sender's own memory; less
// is copied.
const lendFrom = 4 << 10

// put appends one chunk to the bytes that wait to be sealed.
func (s *session) put(id uint32, kind byte, data []byte) {
	s.own(chunkHeader(id, kind, len(data)))
	s.own(data)
	s.work.Signal()
}

func chunkHeader(id uint32, kind byte, n int) []byte {
	return []byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id), kind, byte(n >> 16), byte(n >> 8), byte(n)}
}

// putData appends a data chunk. Long data is only lent.
func (s *session) putData(p *pipe, data []byte) {
	s.own(chunkHeader(p.id, chunkData, len(data)))
	if len(data) < lendFrom {
		s.own(data)
	} else {
		s.out = append(s.out, segment{data, p})
		s.outLen += len(data)
		p.lent++
	}
	s.work.Signal()
}

// own appends a copy of b, where it can to the last segment.
func (s *session) own(b []byte) {
	s.outLen += len(b)
	if n := len(s.out); n > 0 && s.out[n-1].of == nil && len(s.out[n-1].b) < maxData {
		s.out[n-1].b = append(s.out[n-1].b, b...)
		return
	}
	s.out = append(s.out, segment{b: append([]byte(nil), b...)})
}

// drain moves the first bytes that wait into b and returns how many.
func (s *session) drain(b []byte) (n int) {
	for n < len(b) && len(s.out) > 0 {
		first := &s.out[0]
		k := copy(b[n:], first.b)
		n += k
		if first.b = first.b[k:]; len(first.b) > 0 {
			break
		}
		if p := first.of; p != nil {
			if p.lent--; p.lent == 0 {
				p.change.Broadcast()
			}
		}
		s.out[0] = segment{}
		s.out = s.out[1:]
	}
	s.outLen -= n
	return n
}

// takeBack gives a stream's sender its memory back: what of it still waits is
// copied, for the chunk it belongs to may have begun.
func (s *session) takeBack(p *pipe) {
	if p.lent == 0 {
		return
	}
	for i := range s.out {
		if s.out[i].of == p {
			s.out[i] = segment{b: append([]byte(nil), s.out[i].b...)}
		}
	}
	p.lent = 0
}
