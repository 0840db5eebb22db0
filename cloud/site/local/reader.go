package local

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

const window = 256 << 10 // small pieces are read that many bytes at a time

// reader reads pieces of one share. It pins their segments, so a deletion or a
// replacement meanwhile does not disturb it.
type reader struct {
	s       *Site
	ctx     context.Context
	gen     uint64
	extents []extent
	segs    map[uint32]*segment

	mu     sync.Mutex
	closed bool
	next   uint32 // chunk
	end    uint64 // behind the last wanted chunk
	buf    []byte
	have   extent // what buf holds, from its first byte on
	salt   uint64
}

// Open implements cloud.Site.
func (s *Site) Open(ctx context.Context, ref cloud.Ref, first, count uint32) (cloud.PieceReader, error) {
	const op = "site.Open"
	if err := s.ctxErr(ctx, op); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, err := s.visible(op, ref)
	if err != nil {
		return nil, err
	}
	end := uint64(first) + uint64(count)
	if end > uint64(sh.chunks) {
		return nil, qsc.E(op, qsc.Invalid, string(s.id), "pieces %d+%d: the share has %d", first, count, sh.chunks)
	}
	r := &reader{s: s, ctx: ctx, gen: sh.gen, extents: sh.extents, segs: map[uint32]*segment{}, next: first, end: end}
	from, _ := slices.BinarySearchFunc(sh.extents, first, func(e extent, c uint32) int {
		if uint64(e.first)+uint64(e.count) <= uint64(c) {
			return -1
		}
		return 1
	})
	r.extents = sh.extents[from:]
	for _, e := range r.extents {
		if uint64(e.first) >= end {
			break
		}
		if g := s.segs[e.seg]; g != nil && r.segs[e.seg] == nil {
			g.pins++
			r.segs[e.seg] = g
		}
	}
	return r, nil
}

// Next implements cloud.PieceReader.
func (r *reader) Next() ([]byte, error) {
	const op = "site.Read"
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, qsc.E(op, qsc.Invalid, string(r.s.id), "the reader is closed")
	}
	if uint64(r.next) >= r.end {
		return nil, io.EOF
	}
	if err := r.s.ctxErr(r.ctx, op); err != nil {
		return nil, err
	}
	chunk := r.next
	r.next++
	piece, err := r.piece(chunk)
	if r.s.isClosed() {
		return nil, r.s.errClosed()
	}
	if err != nil {
		return nil, qsc.E(op, qsc.Corrupt, string(r.s.id), "piece %d is damaged, let the share be repaired: %w", chunk, err)
	}
	return piece, nil
}

func (s *Site) isClosed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closed
}

// piece returns one piece, from the buffer if it is there.
func (r *reader) piece(chunk uint32) ([]byte, error) {
	if h := r.have; chunk < h.first || chunk-h.first >= h.count {
		if err := r.load(chunk, window); err != nil {
			if err := r.load(chunk, 0); err != nil { // perhaps a neighbour is unreadable
				return nil, err
			}
		}
	}
	h := r.have
	at := int64(chunk-h.first) * step(h.size)
	head, ok := parseHeader(r.buf[at:], r.salt, h.off+uint32(at))
	data := r.buf[at+recHeader:][:h.size]
	if !ok || head.typ != recPiece || head.size != h.size || head.gen != r.gen || head.chunk != chunk || head.sum != crc(data) {
		return nil, errDamaged
	}
	return data, nil
}

// load fills the buffer with the piece and, within the bytes allowed, those
// that follow it.
func (r *reader) load(chunk uint32, bytes int64) error {
	r.have = extent{}
	for len(r.extents) > 0 && r.extents[0].first+r.extents[0].count-1 < chunk {
		r.extents = r.extents[1:]
	}
	if len(r.extents) == 0 || r.extents[0].first > chunk {
		return errDamaged // a record's header was lost
	}
	e := r.extents[0]
	skip := chunk - e.first
	e.off, e.first, e.count = e.off+uint32(int64(skip)*step(e.size)), chunk, e.count-skip
	most := max(1, bytes/step(e.size))
	e.count = uint32(min(int64(e.count), most, int64(r.end-uint64(chunk))))
	n := int(e.room()-step(e.size)) + recHeader + int(e.size) // the last one's padding may be missing
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	r.buf = r.buf[:n]
	g := r.segs[e.seg]
	if g == nil {
		return errDamaged // the file is gone
	}
	if _, err := g.file.ReadAt(r.buf, int64(e.off)); err != nil {
		return err
	}
	r.have, r.salt = e, g.salt
	return nil
}

// Close implements cloud.PieceReader.
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed, r.buf = true, nil
	for _, g := range r.segs {
		r.s.unpin(g)
	}
	return nil
}
