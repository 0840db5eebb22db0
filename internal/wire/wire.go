// Package wire writes and reads the small binary records that travel between
// nodes: big-endian integers, length-prefixed bytes.
//
// It frames nothing and checks no meaning; every length is bounded before
// memory is taken.
package wire

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
)

// Writer appends fields to B.
type Writer struct{ B []byte }

// U8 appends one byte.
func (w *Writer) U8(v uint8) *Writer { w.B = append(w.B, v); return w }

// U16 appends two bytes.
func (w *Writer) U16(v uint16) *Writer { w.B = binary.BigEndian.AppendUint16(w.B, v); return w }

// U32 appends four bytes.
func (w *Writer) U32(v uint32) *Writer { w.B = binary.BigEndian.AppendUint32(w.B, v); return w }

// U64 appends eight bytes.
func (w *Writer) U64(v uint64) *Writer { w.B = binary.BigEndian.AppendUint64(w.B, v); return w }

// Raw appends b without a length.
func (w *Writer) Raw(b []byte) *Writer { w.B = append(w.B, b...); return w }

// Bytes appends a 32-bit length and b.
func (w *Writer) Bytes(b []byte) *Writer { return w.U32(uint32(len(b))).Raw(b) }

// Text appends a 16-bit length and s, which is cut at 65,535 bytes.
func (w *Writer) Text(s string) *Writer {
	s = s[:min(len(s), 1<<16-1)]
	w.U16(uint16(len(s)))
	w.B = append(w.B, s...)
	return w
}

// Reader takes fields from a record. The first fault sticks: later reads give
// zero values, and Err tells.
type Reader struct {
	b   []byte
	err error
}

// NewReader reads b, which it does not copy.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Take returns the next n bytes, a view of the record.
func (r *Reader) Take(n int) []byte {
	if r.err == nil && (n < 0 || n > len(r.b)) {
		r.err = qsc.E("wire.Read", qsc.Corrupt, "", "record is cut short")
	}
	if r.err != nil {
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// U8 reads one byte.
func (r *Reader) U8() uint8 {
	if b := r.Take(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads two bytes.
func (r *Reader) U16() uint16 {
	if b := r.Take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U32 reads four bytes.
func (r *Reader) U32() uint32 {
	if b := r.Take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// U64 reads eight bytes.
func (r *Reader) U64() uint64 {
	if b := r.Take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Bytes reads what Writer.Bytes wrote, at most limit bytes; it is a view.
func (r *Reader) Bytes(limit int) []byte {
	n := r.U32()
	if r.err == nil && uint64(n) > uint64(limit) {
		r.err = qsc.E("wire.Read", qsc.Corrupt, "", "field of %d bytes is over its limit of %d", n, limit)
	}
	return r.Take(int(n))
}

// Text reads what Writer.Text wrote.
func (r *Reader) Text() string { return string(r.Take(int(r.U16()))) }

// Array16 reads 16 raw bytes.
func (r *Reader) Array16() (a [16]byte) {
	copy(a[:], r.Take(16))
	return a
}

// Err returns the first fault.
func (r *Reader) Err() error { return r.err }

// Done returns the first fault, or Corrupt when bytes are left over.
func (r *Reader) Done() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = qsc.E("wire.Read", qsc.Corrupt, "", "record has %d bytes too many", len(r.b))
	}
	return r.err
}
