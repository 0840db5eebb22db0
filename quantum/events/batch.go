package events

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// The messages of the exchange.
const (
	TypeBatch  = distill.TypeSift + 0xc // Bob to Alice: what was detected in a run of pulses
	TypeAnswer = distill.TypeSift + 0xd // Alice to Bob, one for each batch but the last
	TypeFree   = distill.TypeSift + 0xe // and 0xf: the protocol's own
)

// Bounds of a batch.
const (
	MaxEvents = 1 << 17 // in one batch
	maxDetail = 1 << 20 // bytes
	maxReport = 4 << 10 // bytes
)

// Batch is a run of pulses and what was detected in it.
type Batch struct {
	From, To uint64   // pulses From ≤ i < To
	Slots    []uint64 // pulses with a detection, rising
	Detail   []byte   // what Bob says of each, in the protocol's own form
}

// Draw fills in the detections that next finds, one after another. Where there are
// more than a batch holds it ends behind the last: the pulses after belong to the
// next batch.
func (b *Batch) Draw(next func(from, to uint64) (pulse uint64, ok bool)) {
	for from := b.From; ; {
		if len(b.Slots) == MaxEvents {
			b.To = from
			return
		}
		pulse, ok := next(from, b.To)
		if !ok {
			return
		}
		b.Slots = append(b.Slots, pulse)
		from = pulse + 1
	}
}

// verdict says whether a batch is the last and why.
type verdict byte

const (
	goOn verdict = iota
	full
	scarce
	noisy
	verdicts
)

// told is a batch as it travels: with the counts so far.
type told struct {
	Batch
	verdict verdict
	report  []byte
}

// marshal writes From u64, To u64, verdict u8, the report (length u32), the number
// of detections u32, their distances as unsigned varints (length u32), and the
// detail (length u32). The first distance is from From, each further one from the
// pulse after the one before.
func (t *told) marshal() []byte {
	var gaps []byte
	next := t.From
	for _, s := range t.Slots {
		gaps = binary.AppendUvarint(gaps, s-next)
		next = s + 1
	}
	w := wire.Writer{B: make([]byte, 0, 64+len(gaps)+len(t.Detail)+len(t.report))}
	w.U64(t.From).U64(t.To).U8(uint8(t.verdict)).Bytes(t.report)
	w.U32(uint32(len(t.Slots))).Bytes(gaps).Bytes(t.Detail)
	return w.B
}

func corrupt(format string, args ...any) error {
	return qsc.E("events.Parse", qsc.Corrupt, "", format, args...)
}

// parse reads what marshal wrote and keeps views of msg. Error: Corrupt.
func parse(msg []byte) (*told, error) {
	r := wire.NewReader(msg)
	t := &told{}
	t.From, t.To = r.U64(), r.U64()
	t.verdict = verdict(r.U8())
	t.report = r.Bytes(maxReport)
	n := int(r.U32())
	gaps := r.Bytes(distill.MaxMessage)
	t.Detail = r.Bytes(maxDetail)
	if err := r.Done(); err != nil {
		return nil, err
	}
	if t.To < t.From || t.verdict >= verdicts || n > MaxEvents || n > len(gaps) {
		return nil, corrupt("a batch from pulse %d to %d of %d detections cannot be", t.From, t.To, n)
	}
	if t.verdict != goOn && n > 0 {
		return nil, corrupt("the last batch has %d detections", n)
	}
	return t, t.slots(gaps, n)
}

// slots undoes the distances.
func (t *told) slots(gaps []byte, n int) error {
	t.Slots = make([]uint64, n)
	next := t.From
	for i := range t.Slots {
		gap, used := binary.Uvarint(gaps)
		if used <= 0 || gap >= t.To-next {
			return corrupt("detection %d of a batch lies outside of it", i)
		}
		gaps = gaps[used:]
		t.Slots[i] = next + gap
		next = t.Slots[i] + 1
	}
	if len(gaps) > 0 {
		return corrupt("a batch has %d bytes too many", len(gaps))
	}
	return nil
}

// Pack appends n bits given by a function, eight to a byte, lowest first.
func Pack(dst []byte, n int, bit func(i int) bool) []byte {
	for i := 0; i < n; i += 8 {
		var b byte
		for j := i; j < min(i+8, n); j++ {
			if bit(j) {
				b |= 1 << (j & 7)
			}
		}
		dst = append(dst, b)
	}
	return dst
}

// Packed returns bit i of what Pack appended.
func Packed(b []byte, i int) bool { return b[i>>3]>>(i&7)&1 == 1 }
