package local

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// scanner finds the records of a segment without a footer. A header that is
// damaged or was never written costs its own record only: the scan goes on at
// the next place where the salt, which nobody outside can guess, stands in
// front of a good header.
type scanner struct {
	r    io.ReaderAt
	size int64 // of the file
	salt uint64
	buf  []byte
	base int64 // file offset of buf
	out  content
	end  int64 // behind the last whole record
}

const scanBuf = 256 << 10

// scan returns what lies in the file and where its last whole record ends.
func scan(r io.ReaderAt, size int64, salt uint64) (content, int64, error) {
	s := &scanner{r: r, size: min(size, 1<<32-1), salt: salt, end: segHeader}
	for off := int64(segHeader); off+recHeader <= s.size; {
		b, err := s.at(off, recHeader)
		if err != nil {
			return s.out, s.end, err
		}
		next := off
		if h, ok := parseHeader(b, salt, uint32(off)); ok {
			if next, err = s.record(h, off); err != nil {
				return s.out, s.end, err
			}
		}
		if next == off {
			if next, err = s.seek(off + 8); err != nil {
				return s.out, s.end, err
			}
		}
		off = next
	}
	return s.out, s.end, nil
}

// at returns n ≤ scanBuf bytes at off, which must lie within the file.
func (s *scanner) at(off, n int64) ([]byte, error) {
	if off < s.base || off+n > s.base+int64(len(s.buf)) {
		if s.buf == nil {
			s.buf = make([]byte, scanBuf)
		}
		s.base, s.buf = off, s.buf[:min(scanBuf, s.size-off)]
		if k, err := s.r.ReadAt(s.buf, off); k < len(s.buf) {
			s.buf = s.buf[:0]
			return nil, err
		}
	}
	return s.buf[off-s.base:][:n], nil
}

// record notes a record and returns where the next begins, off itself if it is
// not whole.
func (s *scanner) record(h header, off int64) (int64, error) {
	if off+recHeader+int64(h.size) > s.size {
		return off, nil
	}
	next := off + step(h.size)
	switch h.typ {
	case recPiece:
		// A write that failed or a power cut may leave the header without the
		// payload; it must not be taken for a copy that compaction made later.
		sum, err := s.sum(off+recHeader, int64(h.size))
		if err != nil || sum != h.sum {
			return off, err
		}
		s.out.add(h.gen, h.chunk, uint32(off), h.size)
	case recCommit, recKill:
		b, err := s.at(off, recHeader+int64(h.size))
		if err != nil {
			return off, err
		}
		c, _, ok := parseRecord(h.typ, b[recHeader:])
		if !ok || crc(b[recHeader:]) != h.sum {
			return off, nil
		}
		s.out.ctls = append(s.out.ctls, placed{c, uint32(off)})
	case recFooter: // the table of an earlier sealing, cut short or damaged
		return next, nil
	}
	s.end = next
	return next, nil
}

// sum is the crc32c of n bytes at off.
func (s *scanner) sum(off, n int64) (sum uint32, err error) {
	for n > 0 {
		k := min(n, scanBuf)
		b, err := s.at(off, k)
		if err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, castagnoli, b)
		off, n = off+k, n-k
	}
	return sum, nil
}

// seek returns the next offset from off on where the salt stands.
func (s *scanner) seek(off int64) (int64, error) {
	want := binary.BigEndian.AppendUint64(nil, s.salt)
	for off+recHeader <= s.size {
		n := min(scanBuf, s.size-off)
		b, err := s.at(off, n)
		if err != nil {
			return off, err
		}
		if i := bytes.Index(b, want); i >= 0 {
			return align(off + int64(i)), nil
		}
		if n < scanBuf {
			break
		}
		off += n - 8
	}
	return s.size, nil
}
