package local

import "encoding/binary"

// run is a row of pieces of one share, of equal size, one behind the other.
type run struct {
	gen   uint64
	first uint32 // chunk
	count uint32
	off   uint32 // of the first record
	size  uint32 // of each payload
}

// placed is a control at its place in a segment.
type placed struct {
	control
	off uint32
}

// content is what a segment holds: its table of contents.
type content struct {
	runs []run
	ctls []placed
}

// add notes a piece, joined to the last run if it continues it.
func (c *content) add(gen uint64, chunk, off, size uint32) {
	if n := len(c.runs); n > 0 {
		r := &c.runs[n-1]
		if r.gen == gen && r.size == size && r.first+r.count == chunk && int64(r.off)+int64(r.count)*step(size) == int64(off) {
			r.count++
			return
		}
	}
	c.runs = append(c.runs, run{gen, chunk, 1, off, size})
}

// encodeFooter makes the payload of the footer record.
func (c *content) encodeFooter() []byte {
	b := make([]byte, 0, footCounts+len(c.runs)*footRun+len(c.ctls)*(footCtl+ctlFixed+16))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.runs)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.ctls)))
	for _, r := range c.runs {
		b = binary.BigEndian.AppendUint64(b, r.gen)
		for _, v := range []uint32{r.first, r.count, r.off, r.size} {
			b = binary.BigEndian.AppendUint32(b, v)
		}
	}
	for i := range c.ctls {
		p := &c.ctls[i]
		b = binary.BigEndian.AppendUint32(append(b, p.typ), p.off)
		b = binary.BigEndian.AppendUint32(b, uint32(ctlFixed+len(p.ref.Owner)))
		b = p.append(b)
	}
	return b
}

// parseFooter reads the payload of a footer; limit is the offset of the footer
// record, behind which nothing it names may lie.
func parseFooter(b []byte, limit int64) (c content, ok bool) {
	if len(b) < footCounts {
		return c, false
	}
	runs, ctls := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	b = b[footCounts:]
	if int64(runs)*footRun+int64(ctls)*(footCtl+ctlFixed) > int64(len(b)) {
		return c, false
	}
	c = content{make([]run, runs), make([]placed, ctls)}
	for i := range c.runs {
		r := run{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]),
			binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])}
		if !r.within(limit) {
			return c, false
		}
		c.runs[i], b = r, b[footRun:]
	}
	for i := range c.ctls {
		if b, ok = c.ctls[i].parse(b, limit); !ok {
			return c, false
		}
	}
	return c, len(b) == 0
}

// within reports whether the run is well formed and ends before limit.
func (r run) within(limit int64) bool {
	h := header{typ: recPiece, size: r.size}
	return r.count > 0 && uint64(r.first)+uint64(r.count) <= 1<<32 && h.bounded() && r.off >= segHeader && r.off%8 == 0 &&
		uint64(r.off)+uint64(r.count)*uint64(step(r.size)) <= uint64(limit)
}

func (p *placed) parse(b []byte, limit int64) (rest []byte, ok bool) {
	if len(b) < footCtl {
		return nil, false
	}
	typ, off, n := b[0], binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint32(b[5:])
	b = b[footCtl:]
	if typ != recCommit && typ != recKill || int64(n) > int64(len(b)) || off < segHeader || off%8 != 0 {
		return nil, false
	}
	c, left, ok := parseControl(typ, b[:n])
	if !ok || len(left) != 0 || int64(off)+step(c.size()) > limit {
		return nil, false
	}
	*p = placed{c, off}
	return b[n:], true
}

// encodeTrailer makes the last bytes of a sealed segment.
func encodeTrailer(salt uint64, off uint32) []byte {
	b := make([]byte, trailer)
	binary.BigEndian.PutUint32(b, footMagic)
	binary.BigEndian.PutUint32(b[4:], off)
	binary.BigEndian.PutUint64(b[8:], salt)
	binary.BigEndian.PutUint32(b[20:], crc(b[:20]))
	return b
}

// parseTrailer returns where the footer record begins.
func parseTrailer(b []byte, salt uint64) (off uint32, ok bool) {
	ok = len(b) == trailer && binary.BigEndian.Uint32(b) == footMagic && binary.BigEndian.Uint64(b[8:]) == salt &&
		binary.BigEndian.Uint32(b[20:]) == crc(b[:20])
	if !ok {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[4:]), true
}
