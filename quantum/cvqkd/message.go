package cvqkd

import (
	"encoding/binary"
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// The messages, in the order of a round: for each batch a batch, a code and, where
// frames are full, those, and up to maxHelp times a request and its answer (a
// request for nothing ends it); at the end a result.
const (
	typeBatch  = distill.TypeSift + iota // receiver to sender: quadratures, tests, tested values
	typeCode                             // sender to receiver: the code for the frames that are full
	typeFrame                            // receiver to sender: rotations, lengths, syndrome
	typeMore                             // sender to receiver: which of these frames need help, as bits
	typeHelp                             // receiver to sender: bits of the raw key, frame by frame
	typeResult                           // sender to receiver: sums, failed frames
)

// batch is what the receiver says of a run of symbols.
type batch struct {
	index   int
	symbols int
	bases   []uint64 // quadrature of each symbol, 0 x, 1 p; homodyne only
	tests   []uint64 // symbols that are disclosed
	values  []int16  // measured at the tests, in order; x then p of each under heterodyne
}

func appendBits(b []byte, words []uint64, n int) []byte {
	for i := range (n + 7) / 8 {
		b = append(b, byte(words[i/8]>>(i%8*8)))
	}
	return b
}

// readBits reads n bits, the lowest of each byte first. Bits beyond n must be 0.
func readBits(r *wire.Reader, n int) []uint64 {
	b := r.Take((n + 7) / 8)
	words := make([]uint64, (n+63)/64)
	for i, v := range b {
		words[i/8] |= uint64(v) << (i % 8 * 8)
	}
	if n%64 != 0 && words[len(words)-1]>>(n%64) != 0 {
		return nil
	}
	return words
}

// marshal writes index u32, symbols u32, values u32, the bases (homodyne only)
// and the tests as bits, the values as int16.
func (b *batch) marshal() []byte {
	w := wire.Writer{}
	w.U32(uint32(b.index)).U32(uint32(b.symbols)).U32(uint32(len(b.values)))
	if b.bases != nil {
		w.B = appendBits(w.B, b.bases, b.symbols)
	}
	w.B = appendBits(w.B, b.tests, b.symbols)
	for _, v := range b.values {
		w.B = binary.BigEndian.AppendUint16(w.B, uint16(v))
	}
	return w.B
}

// parseBatch reads the batch of an index and a number of symbols. Error: Corrupt.
func parseBatch(msg []byte, index, symbols int, heterodyne bool) (*batch, error) {
	corrupt := func(what string) (*batch, error) {
		return nil, qsc.E("cvqkd.parseBatch", qsc.Corrupt, "", "batch %d: %s", index, what)
	}
	r := wire.NewReader(msg)
	i, n, k := r.U32(), r.U32(), r.U32()
	if r.Err() != nil || uint64(i) != uint64(index) || uint64(n) != uint64(symbols) {
		return corrupt("another batch than the one that is due; do both ends have the same device?")
	}
	b := &batch{index: index, symbols: symbols}
	each := 2
	if !heterodyne {
		b.bases, each = readBits(r, symbols), 1
	}
	b.tests = readBits(r, symbols)
	if r.Err() != nil || b.tests == nil || !heterodyne && b.bases == nil {
		return corrupt("its bits do not fit")
	}
	if uint64(k) != uint64(ones(b.tests)*each) {
		return corrupt("as many values as tests are due")
	}
	raw := r.Take(2 * int(k))
	if r.Done() != nil {
		return corrupt("its values do not fit")
	}
	b.values = make([]int16, k)
	for j := range b.values {
		b.values[j] = int16(binary.BigEndian.Uint16(raw[2*j:]))
	}
	return b, nil
}

// verdict is what the sender makes of the estimate so far.
type verdict byte

const (
	goOn verdict = iota
	tooNoisy
	tooScarce
	verdicts
)

// choice is the code for the frames that are full.
type choice struct {
	verdict verdict
	checks  int // syndrome bits for each frame
}

// marshal writes verdict u8, checks u32.
func (c choice) marshal() []byte {
	w := wire.Writer{}
	return w.U8(byte(c.verdict)).U32(uint32(c.checks)).B
}

// parseChoice reads a choice for frames of n bits. Error: Corrupt.
func parseChoice(msg []byte, n int) (c choice, err error) {
	r := wire.NewReader(msg)
	c.verdict = verdict(r.U8())
	checks := r.U32()
	if r.Done() != nil || c.verdict >= verdicts || checks > uint32(n) {
		return choice{}, qsc.E("cvqkd.parseChoice", qsc.Corrupt, "", "no choice of a code")
	}
	c.checks = int(checks)
	if low, high := checkRange(n); c.verdict == goOn && (c.checks < low || c.checks > high) {
		return choice{}, qsc.E("cvqkd.parseChoice", qsc.Corrupt, "", "%d checks for %d bits are out of range", checks, n)
	}
	return c, nil
}

// frame is what the receiver says of a frame of n bits: for each eight values
// the rotation to the corner that its bits name, and their length.
type frame struct {
	index    int
	alphas   []int8   // n, in steps of 1/127
	lengths  []uint16 // n/8, in steps of 1/64
	parity   uint32   // of the bits: remainder
	syndrome []uint64
}

const (
	alphaSteps  = 127
	lengthSteps = 64
)

// parityBits are 32 checks more than the code's. They show the sender when it
// has decoded to another word of the right syndrome, so that it asks for help;
// they are charged like the syndrome. Verification stays the engine's.
const parityBits = 32

// remainder is that of the bits, as a polynomial, by Castagnoli's of degree 32.
func remainder(words []uint64) (r uint32) {
	for _, w := range words {
		for range 64 {
			carry := r >> 31
			r = r<<1 | uint32(w&1)
			r ^= 0x1edc6f41 & -carry
			w >>= 1
		}
	}
	return r
}

// marshal writes index u32, alphas, lengths u16, parity u32, and the syndrome as
// bits.
func (f *frame) marshal(checks int) []byte {
	w := wire.Writer{B: make([]byte, 0, 8+len(f.alphas)+2*len(f.lengths)+checks/8+1)}
	w.U32(uint32(f.index))
	for _, a := range f.alphas {
		w.B = append(w.B, byte(a))
	}
	for _, l := range f.lengths {
		w.B = binary.BigEndian.AppendUint16(w.B, l)
	}
	w.U32(f.parity)
	return appendBits(w.B, f.syndrome, checks)
}

// parseFrame reads the frame of an index, of n bits and checks. Error: Corrupt.
func parseFrame(msg []byte, index, n, checks int) (*frame, error) {
	r := wire.NewReader(msg)
	i := r.U32()
	alphas, lengths, parity := r.Take(n), r.Take(n/8*2), r.U32()
	syndrome := readBits(r, checks)
	if r.Done() != nil || uint64(i) != uint64(index) || syndrome == nil {
		return nil, qsc.E("cvqkd.parseFrame", qsc.Corrupt, "", "frame %d: another frame than the one that is due", index)
	}
	f := &frame{index: index, alphas: make([]int8, n), lengths: make([]uint16, n/8), parity: parity, syndrome: syndrome}
	for j, a := range alphas {
		f.alphas[j] = int8(a)
	}
	for j := range f.lengths {
		f.lengths[j] = binary.BigEndian.Uint16(lengths[2*j:])
	}
	return f, nil
}

// A frame that does not reconcile gets help: each step discloses every
// helpShare-th of its bits, counted from another place, in place of the loss of
// the whole frame. The bits are charged.
const (
	helpShare = 32
	maxHelp   = 4
)

// helpAt is the first bit that a step discloses.
func helpAt(step int) int { return step * helpShare / maxHelp }

// parseHelp reads n bits, which are the whole message. Error: Corrupt.
func parseHelp(msg []byte, n int) ([]uint64, error) {
	r := wire.NewReader(msg)
	words := readBits(r, n)
	if r.Done() != nil || words == nil {
		return nil, qsc.E("cvqkd.parseHelp", qsc.Corrupt, "", "%d bytes are not %d bits", len(msg), n)
	}
	return words, nil
}

// result is the sender's account of a round.
type result struct {
	sums   sums
	errors int64
	frames int
	failed []int // rising
}

// marshal writes the number of test values u64; the sums of x², xy and y² as the
// bits of float64; errors u64; frames u32; the failed frames as bits.
func (s *result) marshal() []byte {
	w := wire.Writer{}
	w.U64(uint64(s.sums.m))
	for _, v := range []float64{s.sums.xx, s.sums.xy, s.sums.yy} {
		w.U64(math.Float64bits(v))
	}
	w.U64(uint64(s.errors)).U32(uint32(s.frames))
	failed := make([]uint64, (s.frames+63)/64)
	for _, f := range s.failed {
		failed[f>>6] |= 1 << (f & 63)
	}
	return appendBits(w.B, failed, s.frames)
}

// parseResult reads the account of a round of m test values and of frames of n
// bits, which the receiver has counted. Error: Corrupt.
func parseResult(msg []byte, m int64, frames, n int) (*result, error) {
	r := wire.NewReader(msg)
	s := &result{sums: sums{m: int64(r.U64())}, frames: frames}
	for _, v := range []*float64{&s.sums.xx, &s.sums.xy, &s.sums.yy} {
		*v = math.Float64frombits(r.U64())
	}
	errors, told := r.U64(), r.U32()
	if r.Err() != nil || s.sums.m != m || told != uint32(frames) || errors > uint64(frames)*uint64(n) || !s.sums.possible() {
		return nil, qsc.E("cvqkd.parseResult", qsc.Corrupt, "", "the sender's account does not fit what was measured")
	}
	s.errors = int64(errors)
	failed := readBits(r, frames)
	if r.Done() != nil || failed == nil && frames > 0 {
		return nil, qsc.E("cvqkd.parseResult", qsc.Corrupt, "", "the list of failed frames does not fit")
	}
	for f := range frames {
		if bit(failed, f) == 1 {
			s.failed = append(s.failed, f)
		}
	}
	return s, nil
}
