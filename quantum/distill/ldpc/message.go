package ldpc

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// The messages, in the order of first use.
const (
	typeShape    = distill.TypeReconcile + 0x10 + iota // Alice: checks of a frame and of the last
	typeSyndrome                                       // Alice: syndromes of as many frames as fit
	typeReport                                         // Bob: bits asked for, or the frames that failed
	typeAnswer                                         // Alice: the bits of one frame that were asked for
)

// part is how long messages grow before they are sent.
const part = 1 << 20

func putShape(l layout) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(l.checks[0]))
	return binary.BigEndian.AppendUint32(b, uint32(l.checks[1]))
}

// receiveShape takes Alice's numbers of checks in place of Bob's own, from which
// rounding on another machine may set them apart by one, and no more.
func receiveShape(ctx context.Context, w distill.Wire, l layout) (layout, error) {
	msg, err := w.Receive(ctx, typeShape, 8)
	if err != nil {
		return l, err
	}
	if len(msg) != 8 {
		return l, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "a shape of %d bytes, not 8", len(msg))
	}
	for i := range l.checks {
		m := int(binary.BigEndian.Uint32(msg[4*i:]))
		if m < l.checks[i]-1 || m > l.checks[i]+1 || l.checks[i] == 0 && m != 0 {
			return l, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "the other end sends %d checks a frame where %d belong: give both ends the same frame length and error rate", m, l.checks[i])
		}
		l.checks[i] = m
	}
	return l, nil
}

// appendBits packs the first n bits of v: bit i is bit i%8 of byte i/8.
func appendBits(b []byte, v []uint64, n int) []byte {
	for i := 0; i < n; i += 8 {
		b = append(b, byte(v[i/64]>>(i%64)))
	}
	return b
}

// parseBits reads exactly n bits; those that fill up the last byte must be 0.
func parseBits(b []byte, n int) (v []uint64, ok bool) {
	if len(b) != (n+7)/8 || n%8 != 0 && b[n/8]>>(n%8) != 0 {
		return nil, false
	}
	v = make([]uint64, (n+63)/64)
	for i, x := range b {
		v[i/8] |= uint64(x) << (i % 8 * 8)
	}
	return v, true
}

// syndromeBytes is the length of frame i's syndrome on the wire, 0 beyond the
// last.
func (l layout) syndromeBytes(i int) int {
	if i >= l.frames {
		return 0
	}
	return (l.checksOf(i) + 7) / 8
}

// parseSyndromes reads the whole syndromes of frames from first on.
func (l layout) parseSyndromes(msg []byte, first int) (frames []*frame, err error) {
	for i := first; len(msg) > 0; i++ {
		n := l.syndromeBytes(i)
		if n == 0 || n > len(msg) {
			return nil, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "%d bytes too many behind the syndrome of frame %d of %d", len(msg), i, l.frames)
		}
		s, ok := parseBits(msg[:n], l.checksOf(i))
		if !ok {
			return nil, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "the syndrome of frame %d has bits behind its end", i)
		}
		frames, msg = append(frames, &frame{index: i, syndrome: s}), msg[n:]
	}
	if len(frames) == 0 {
		return nil, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "an empty message of syndromes")
	}
	return frames, nil
}

// report is what Bob says after an attempt: the bits he wants, or the end.
type report struct {
	final  bool
	frames []wanted // in rising order of index
}

// wanted are positions of a frame, in rising order; none in a final report.
type wanted struct {
	index     int
	positions []int
}

func verdict(failed []int) (w []wanted) {
	for _, i := range failed {
		w = append(w, wanted{index: i})
	}
	return w
}

func (r report) failed() (f []int) {
	for _, w := range r.frames {
		f = append(f, w.index)
	}
	return f
}

// The first byte of a part of a report.
const (
	reportFinal = 1 << iota
	reportMore  // another part follows
)

// sendReport sends a report in parts: flags, then for each frame the gap to the
// one before, the count of positions and their gaps, all as unsigned varints.
func sendReport(ctx context.Context, w distill.Wire, r report) error {
	head := byte(0)
	if r.final {
		head = reportFinal
	}
	msg, last := []byte{head}, -1
	for _, f := range r.frames {
		msg = appendWanted(msg, f, last)
		last = f.index
		if len(msg) > part {
			msg[0] |= reportMore
			if err := w.Send(ctx, typeReport, msg); err != nil {
				return err
			}
			msg = []byte{head}
		}
	}
	return w.Send(ctx, typeReport, msg)
}

func appendWanted(b []byte, f wanted, last int) []byte {
	b = binary.AppendUvarint(b, uint64(f.index-last-1))
	b = binary.AppendUvarint(b, uint64(len(f.positions)))
	at := -1
	for _, p := range f.positions {
		b = binary.AppendUvarint(b, uint64(p-at-1))
		at = p
	}
	return b
}

// receiveReport reads a whole report. More rounds than there are is Corrupt, as
// is asking for more bits than a round discloses.
func receiveReport(ctx context.Context, w distill.Wire, l layout, round int) (r report, err error) {
	for more := true; more; {
		msg, err := w.Receive(ctx, typeReport, distill.MaxMessage)
		if err != nil {
			return report{}, err
		}
		if more, err = r.parse(msg, l, round); err != nil {
			return report{}, err
		}
	}
	if !r.final && (round == rounds || len(r.frames) == 0) {
		return report{}, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "the other end asks for bits of %d frames in round %d of %d", len(r.frames), round+1, rounds)
	}
	return r, nil
}

// parse adds a part of a report to r.
func (r *report) parse(msg []byte, l layout, round int) (more bool, err error) {
	if len(msg) == 0 || msg[0] > reportFinal|reportMore {
		return false, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "a report without a beginning")
	}
	final := msg[0]&reportFinal != 0
	if len(r.frames) > 0 && final != r.final {
		return false, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "a report that is final in parts")
	}
	r.final, more = final, msg[0]&reportMore != 0
	p := parser{b: msg[1:]}
	last, before := -1, len(r.frames)
	if before > 0 {
		last = r.frames[before-1].index
	}
	for len(p.b) > 0 && !p.bad {
		f := wanted{index: last + 1 + p.below(l.frames-last-1)}
		if !p.bad {
			f.positions = p.positions(l, f.index, round, final)
		}
		r.frames, last = append(r.frames, f), f.index
	}
	if p.bad || more && len(r.frames) == before {
		r.frames = slices.Clip(r.frames[:before])
		return false, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "a report of %d bytes names frames or bits that there are not", len(msg))
	}
	return more, nil
}

// parser reads varints.
type parser struct {
	b   []byte
	bad bool
}

// below reads a number that must be below limit.
func (p *parser) below(limit int) int {
	v, n := binary.Uvarint(p.b)
	if n <= 0 || limit <= 0 || v >= uint64(limit) {
		p.bad = true
		return 0
	}
	p.b = p.b[n:]
	return int(v)
}

// positions reads the list of one frame.
func (p *parser) positions(l layout, index, round int, final bool) (list []int) {
	size := l.size(index)
	most := more(l.checksOf(index), size, round)
	if final {
		most = 0
	}
	count := p.below(most + 1)
	if count > len(p.b) || count == 0 && !final {
		p.bad = true
		return nil
	}
	at := -1
	for range count {
		at += 1 + p.below(size-at-1)
		if p.bad {
			return nil
		}
		list = append(list, at)
	}
	return list
}
