package distill

import (
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
)

const (
	helloMagic = 0x51534448 // QSDH
	version    = 1

	maxOffers = 256       // batches of masks
	maxFrames = 1 << 18   // frames in a round: their hashes fit a message
	maxNames  = 1<<17 + 1 // key blocks in a round: their names fit a message
	maxRound  = 1 << 62   // and numbers of blocks: beyond lies a lie
	maxText   = 1 << 10   // bytes of a hello
	maxPart   = 1 << 20   // bytes of the seed in one message
	nonceSize = 16
)

// instant is a time in messages and files, in nanoseconds; 0 is no time.
func instant(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

func moment(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns)).UTC()
}

func corrupt(format string, args ...any) error {
	return qsc.E("distill.Receive", qsc.Corrupt, "", format, args...)
}

// hello names the link, so that two ends that do not belong together part at once.
type hello struct {
	link  string
	epoch uint32
	block uint64
	role  Role
	round uint64 // done last
}

func (h hello) encode() []byte {
	var w wire.Writer
	return w.U32(helloMagic).U8(version).Text(h.link).U32(h.epoch).U64(h.block).U8(byte(h.role)).U64(h.round).B
}

func parseHello(b []byte) (h hello, err error) {
	r := wire.NewReader(b)
	magic, v := r.U32(), r.U8()
	h = hello{link: r.Text(), epoch: r.U32(), block: r.U64(), role: Role(r.U8()), round: r.U64()}
	if r.Done() != nil || magic != helloMagic || v != version || h.role > Bob || h.round > maxRound {
		return hello{}, corrupt("this is no hello of a distilling end: compare the two ends' addresses and versions")
	}
	return h, nil
}

// offer is a batch of masks that an end has whole, but for those used.
type offer struct {
	round uint64 // whose key the masks were
	count uint32 // pairs of masks
}

// begin is what an end has at a round's beginning: Alice's begin, Bob's ready.
type begin struct {
	nonce  [nonceSize]byte
	echo   [nonceSize]byte // the other's nonce; zero in Alice's begin
	seq    uint64          // the first number it has never used
	carry  offer           // key left over: of which round, and how many words
	until  time.Time       // raw data before it are used up
	offers []offer         // newest first
}

func (m begin) encode() []byte {
	var w wire.Writer
	w.Raw(m.nonce[:]).Raw(m.echo[:]).U64(m.seq).U64(m.carry.round).U32(m.carry.count).U64(instant(m.until))
	w.U16(uint16(len(m.offers)))
	for _, o := range m.offers {
		w.U64(o.round).U32(o.count)
	}
	return w.B
}

const maxBegin = 2*nonceSize + 8 + 12 + 8 + 2 + 12*maxOffers

func parseBegin(b []byte) (m begin, err error) {
	r := wire.NewReader(b)
	m.nonce, m.echo, m.seq = r.Array16(), r.Array16(), r.U64()
	m.carry = offer{r.U64(), r.U32()}
	m.until = moment(r.U64())
	n := int(r.U16())
	for i := 0; i < n && r.Err() == nil; i++ {
		m.offers = append(m.offers, offer{r.U64(), r.U32()})
	}
	if r.Done() != nil || n > maxOffers || m.seq > maxRound {
		return begin{}, corrupt("the other end's beginning of a round makes no sense")
	}
	return m, nil
}

// start is Alice's last word on what the round rests on.
type start struct {
	echo  [nonceSize]byte // Bob's nonce
	at    time.Time
	seq   uint64 // of the round's first block
	carry bool   // what was left over is used
}

const startSize = nonceSize + 8 + 8 + 1

func (m start) encode() []byte {
	var w wire.Writer
	return w.Raw(m.echo[:]).U64(instant(m.at)).U64(m.seq).U8(flag(m.carry)).B
}

func parseStart(b []byte) (m start, err error) {
	r := wire.NewReader(b)
	m = start{echo: r.Array16(), at: moment(r.U64()), seq: r.U64()}
	c := r.U8()
	m.carry = c == 1
	if r.Done() != nil || c > 1 {
		return start{}, corrupt("a round's start makes no sense")
	}
	return m, nil
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// hashes are Alice's verification hashes.
type hashes struct {
	key   [16]byte
	bits  uint64 // raw key bits, so that two ends of unequal length notice
	frame uint64
	sums  []uint64
}

func (m hashes) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 36+8*len(m.sums))}
	w.Raw(m.key[:]).U64(m.bits).U64(m.frame).U32(uint32(len(m.sums)))
	for _, s := range m.sums {
		w.U64(s)
	}
	return w.B
}

func parseHashes(b []byte) (m hashes, err error) {
	r := wire.NewReader(b)
	m = hashes{key: r.Array16(), bits: r.U64(), frame: r.U64()}
	n := r.U32()
	if r.Err() != nil || n > maxFrames || uint64(len(b)) != 36+8*uint64(n) {
		return hashes{}, corrupt("verification hashes make no sense")
	}
	m.sums = make([]uint64, n)
	for i := range m.sums {
		m.sums[i] = r.U64()
	}
	return m, r.Done()
}

// bad is Bob's answer: the frames that differ, rising.
type bad struct {
	frames []int
	errors int64 // corrected in those kept
}

func (m bad) encode() []byte {
	var w wire.Writer
	w.U64(uint64(m.errors)).U32(uint32(len(m.frames)))
	for _, f := range m.frames {
		w.U32(uint32(f))
	}
	return w.B
}

// parseBad reads an answer about so many frames.
func parseBad(b []byte, frames int) (m bad, err error) {
	r := wire.NewReader(b)
	errors, n := r.U64(), r.U32()
	if r.Err() != nil || errors > maxBits || uint64(n) > uint64(frames) || uint64(len(b)) != 12+4*uint64(n) {
		return bad{}, corrupt("the answer to verification makes no sense")
	}
	m.errors = int64(errors)
	for range n {
		f := int(r.U32())
		if f >= frames || len(m.frames) > 0 && m.frames[len(m.frames)-1] >= f {
			return bad{}, corrupt("the answer to verification names frame %d of %d", f, frames)
		}
		m.frames = append(m.frames, f)
	}
	return m, r.Done()
}

// length is Alice's word on the key: how long, how much of it becomes masks, the
// names of its blocks.
type length struct {
	bits   uint64 // a multiple of 64
	refill uint32 // pairs of masks
	made   time.Time
	names  []qsc.KeyID
}

func (m length) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 24+16*len(m.names))}
	w.U64(m.bits).U32(m.refill).U64(instant(m.made)).U32(uint32(len(m.names)))
	for _, id := range m.names {
		w.Raw(id[:])
	}
	return w.B
}

func parseLength(b []byte) (m length, err error) {
	r := wire.NewReader(b)
	m = length{bits: r.U64(), refill: r.U32(), made: moment(r.U64())}
	n := r.U32()
	if r.Err() != nil || n > maxNames || uint64(len(b)) != 24+16*uint64(n) || m.bits%64 != 0 || m.bits > maxBits ||
		uint64(m.refill)*pairBits > m.bits {
		return length{}, corrupt("the length of the key makes no sense")
	}
	m.names = make([]qsc.KeyID, n)
	for i := range m.names {
		m.names[i] = r.Array16()
	}
	return m, r.Done()
}

// tag authenticates everything that its sender has said in the round.
type tag struct {
	round uint64 // of the batch that the mask is of
	index uint32 // of the mask
	sum   [16]byte
}

const tagSize = 8 + 4 + 16

func (m tag) encode() []byte {
	var w wire.Writer
	return w.U64(m.round).U32(m.index).Raw(m.sum[:]).B
}

func parseTag(b []byte) (m tag, err error) {
	r := wire.NewReader(b)
	m = tag{r.U64(), r.U32(), r.Array16()}
	return m, r.Done()
}

// parseAbort reads why the other end gives up. Unknown kinds are Other.
func parseAbort(b []byte) qsc.Kind {
	if len(b) != 1 || !slices.Contains(tellable[:], qsc.Kind(b[0])) {
		return qsc.Other
	}
	return qsc.Kind(b[0])
}

// tellable are the kinds that an end may take from the other, which nobody vouches for.
var tellable = [...]qsc.Kind{qsc.Scarce, qsc.Noisy, qsc.Keyless, qsc.Tampered, qsc.Replayed, qsc.Exhausted,
	qsc.Corrupt, qsc.Timeout, qsc.NoSpace, qsc.Unreachable, qsc.Conflict}
