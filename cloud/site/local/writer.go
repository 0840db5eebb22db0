package local

import (
	"context"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

const (
	batchBytes = 256 << 10 // small pieces are gathered up to this
	directSize = 64 << 10  // a piece from here on is written from the caller's memory
)

var batches = sync.Pool{New: func() any { return new([batchBytes]byte) }}

// writer writes one share. Small pieces go through one buffer, which keeps
// those of one share together; big ones are written without a copy.
type writer struct {
	s   *Site
	ctx context.Context
	ref cloud.Ref
	gen uint64

	mu      sync.Mutex
	over    bool // committed, aborted or failed
	err     error
	buf     *[batchBytes]byte
	used    int
	batched []header // of the pieces in buf
	chunks  uint32
	bytes   int64
	extents []extent
	marks   map[*segment]uint64 // what a sync must reach
	pending map[*segment]int64
}

// Create implements cloud.Site. Busy when Config.MaxWriters shares are being
// written.
func (s *Site) Create(ctx context.Context, ref cloud.Ref) (cloud.PieceWriter, error) {
	const op = "site.Create"
	if err := s.ctxErr(ctx, op); err != nil {
		return nil, err
	}
	if err := ref.Check(op); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, s.errClosed()
	case s.writers >= s.cfg.MaxWriters:
		return nil, qsc.E(op, qsc.Busy, string(s.id), "%d shares are being written already: try again when some are done", s.writers)
	}
	s.unchecked = 0
	if err := s.checkFree(0); err != nil {
		return nil, s.fail(op, err)
	}
	s.writers++
	s.clock++
	return &writer{s: s, ctx: ctx, ref: ref, gen: s.clock, marks: map[*segment]uint64{}, pending: map[*segment]int64{}}, nil
}

// Write implements cloud.PieceWriter.
func (w *writer) Write(piece []byte) error {
	const op = "site.Write"
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return w.ended(op)
	}
	if err := cloud.CheckPiece(op, piece); err != nil {
		return err
	}
	if w.chunks >= cloud.MaxChunks {
		return qsc.E(op, qsc.Invalid, string(w.s.id), "a share has at most %d pieces", uint32(cloud.MaxChunks))
	}
	if err := w.s.ctxErr(w.ctx, op); err != nil {
		return w.finish(err)
	}
	h := header{typ: recPiece, size: uint32(len(piece)), gen: w.gen, chunk: w.chunks, sum: crc(piece)}
	if err := w.take(h, piece); err != nil {
		return w.finish(w.s.fail(op, err))
	}
	w.chunks++
	w.bytes += int64(len(piece))
	return nil
}

func (w *writer) ended(op string) error {
	if w.err != nil {
		return w.err
	}
	return qsc.E(op, qsc.Invalid, string(w.s.id), "the share was committed or aborted already")
}

func (w *writer) take(h header, piece []byte) error {
	room := int(step(h.size))
	if len(piece) >= directSize {
		if err := w.flush(); err != nil {
			return err
		}
		return w.direct(h, piece)
	}
	if w.used+room > w.limit() {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if w.buf == nil {
		w.buf = batches.Get().(*[batchBytes]byte)
	}
	n := copy(w.buf[w.used+recHeader:], piece)
	clear(w.buf[w.used+recHeader+n : w.used+room])
	w.batched = append(w.batched, h)
	w.used += room
	return nil
}

// limit keeps a batch within a small segment.
func (w *writer) limit() int { return int(min(batchBytes, w.s.cfg.SegmentSize/2)) }

// direct writes one big piece.
func (w *writer) direct(h header, piece []byte) error {
	sp, err := w.s.reserve(step(h.size), true)
	if err != nil {
		return err
	}
	var head [recHeader]byte
	h.put(head[:], sp.seg.salt, uint32(sp.off))
	return w.landed(sp, writeAll(sp, head[:], piece), []header{h})
}

// flush writes the batch.
func (w *writer) flush() error {
	if w.used == 0 {
		return nil
	}
	sp, err := w.s.reserve(int64(w.used), true)
	if err != nil {
		return err
	}
	at := int64(0)
	for _, h := range w.batched {
		h.put(w.buf[at:], sp.seg.salt, uint32(sp.off+at))
		at += step(h.size)
	}
	err = w.landed(sp, writeAll(sp, w.buf[:w.used]), w.batched)
	w.used, w.batched = 0, w.batched[:0]
	return err
}

// landed accounts for pieces written to a space.
func (w *writer) landed(sp space, err error, pieces []header) error {
	mark := w.s.landed(sp, err, func(c *content) {
		off := uint32(sp.off)
		for _, h := range pieces {
			c.add(h.gen, h.chunk, off, h.size)
			w.extents = joinExtent(w.extents, extent{sp.seg.id, h.chunk, 1, off, h.size})
			off += uint32(step(h.size))
		}
	})
	if err == nil {
		w.marks[sp.seg] = mark
		w.pending[sp.seg] += sp.n
	}
	return err
}

// Commit implements cloud.PieceWriter. An error of kind Unreachable means that
// the disk took neither the commit nor its being taken back: at the next start
// the share may be there or not.
func (w *writer) Commit(meta []byte) error {
	const op = "site.Commit"
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return w.ended(op)
	}
	if err := cloud.CheckMeta(op, meta); err != nil {
		return err
	}
	if err := w.s.ctxErr(w.ctx, op); err != nil {
		return w.finish(err)
	}
	if err := w.flush(); err != nil {
		return w.finish(w.s.fail(op, err))
	}
	if err := w.s.submit(&request{w: w, ref: w.ref, meta: meta}); err != nil {
		return w.finish(w.s.fail(op, err))
	}
	w.pending = nil // the site counts it as live now
	_ = w.finish(nil)
	return nil
}

// Abort implements cloud.PieceWriter.
func (w *writer) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		_ = w.finish(nil)
	}
	return nil
}

// finish ends the writer; what it wrote and did not commit is garbage.
func (w *writer) finish(err error) error {
	w.over, w.err = true, err
	if w.buf != nil {
		batches.Put(w.buf)
		w.buf = nil
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.writers--
	for g, n := range w.pending {
		g.pending -= n
	}
	if len(w.pending) > 0 {
		w.s.kick()
	}
	w.pending, w.extents = nil, nil
	return err
}
