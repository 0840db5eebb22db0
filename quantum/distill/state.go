package distill

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

const (
	stateFile  = "distill"
	stateMagic = 0x51534453 // QSDS
	stateHead  = 4 + 1 + 4 + 8 + 8 + 8 + 2*uhash.Size + 2

	maxPairs = 1 << 14 // of one batch
	maxState = stateHead + maxOffers*(8+4+8) + 4*Founding*pairSize + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// state is what an end must not forget.
type state struct {
	epoch uint32
	next  uint64        // no block at or above it was ever given out
	round uint64        // done last
	until time.Time     // raw data before it are used up; zero: none is
	keys  [2]qsc.Secret // hash keys of Alice's and of Bob's transcripts
	masks masks
}

// Format implements fmt.Formatter for every verb.
func (s *state) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[secret]")) }

func (s *state) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, stateHead+s.masks.size()+4)}
	w.U32(stateMagic).U8(version).U32(s.epoch).U64(s.next).U64(s.round).U64(instant(s.until))
	w.Raw(s.keys[Alice].Expose()).Raw(s.keys[Bob].Expose()).U16(uint16(len(s.masks)))
	for _, b := range s.masks {
		w.U64(b.round).U32(b.count).U32(b.used[Alice]).U32(b.used[Bob])
		for of := Alice; of <= Bob; of++ {
			for i := b.used[of]; i < b.count; i++ {
				w.Raw(b.mask(of, i)[:])
			}
		}
	}
	return w.U32(crc32.Checksum(w.B, castagnoli)).B
}

func (m masks) size() (n int) {
	for _, b := range m {
		n += 20 + uhash.Size*(b.left(Alice)+b.left(Bob))
	}
	return n
}

// decodeState reads what encode wrote. Error: Corrupt.
func decodeState(b []byte) (*state, error) {
	damaged := qsc.E("distill.Open", qsc.Corrupt, stateFile, "the file is damaged: stop both ends and found the link anew")
	if len(b) < stateHead+4 || len(b) > maxState {
		return nil, damaged
	}
	r := wire.NewReader(b)
	magic, v := r.U32(), r.U8()
	s := &state{epoch: r.U32(), next: r.U64(), round: r.U64(), until: moment(r.U64())}
	for i := range s.keys {
		k := r.Array16()
		s.keys[i] = qsc.NewSecret(k[:])
	}
	n := int(r.U16())
	for i := 0; i < n && n <= maxOffers; i++ {
		x := readBatch(r)
		if x == nil || s.masks.find(x.round) != nil {
			return nil, damaged
		}
		s.masks = append(s.masks, x)
	}
	sum := r.U32()
	if r.Done() != nil || magic != stateMagic || v != version || n > maxOffers || s.next > maxRound || s.round > maxRound ||
		sum != crc32.Checksum(b[:len(b)-4], castagnoli) {
		return nil, damaged
	}
	return s, nil
}

// readBatch reads a batch, nil for one that cannot be.
func readBatch(r *wire.Reader) *batch {
	b := &batch{round: r.U64(), count: r.U32(), used: [2]uint32{r.U32(), r.U32()}}
	if r.Err() != nil || b.count == 0 || b.count > maxPairs || b.used[Alice] > b.count || b.used[Bob] > b.count {
		return nil
	}
	b.masks = qsc.NewSecret(make([]byte, int(b.count)*pairSize))
	for of := Alice; of <= Bob; of++ {
		for i := b.used[of]; i < b.count && r.Err() == nil; i++ {
			copy(b.mask(of, i)[:], r.Take(uhash.Size))
		}
	}
	return b
}

func (s *state) zeroise() {
	for i := range s.keys {
		s.keys[i].Zeroise()
	}
	for _, b := range s.masks {
		b.masks.Zeroise()
	}
}

// Found gives both ends of a link what they authenticate each other with at first:
// a hash key for each direction and Founding pairs of masks, 32 KiB of random in
// all. Where the directories were founded before, the keys are replaced and the
// numbers of blocks and rounds go on. Neither end may be open.
//
// A crash between the two ends leaves them with different keys, which the first
// tag shows (Tampered): found again. Errors: Corrupt for a damaged file, those of
// the directories and of random.
func Found(dirs [2]durable.FS, random io.Reader) error {
	s := &state{}
	for _, d := range dirs {
		old, err := loadState(d)
		if qsc.IsKind(err, qsc.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		s.epoch, s.next, s.round = max(s.epoch, old.epoch), max(s.next, old.next), max(s.round, old.round)
		if old.until.After(s.until) {
			s.until = old.until
		}
		old.zeroise()
	}
	raw := make([]byte, 2*uhash.Size+Founding*pairSize)
	if _, err := io.ReadFull(random, raw); err != nil {
		return qsc.E("distill.Found", qsc.Invalid, "", "the source of random bytes gives too few: %w", err)
	}
	s.keys = [2]qsc.Secret{qsc.NewSecret(raw[:uhash.Size]), qsc.NewSecret(raw[uhash.Size : 2*uhash.Size])}
	s.masks = masks{newBatch(s.round, raw[2*uhash.Size:])}
	defer s.zeroise()
	return errors.Join(writeState(dirs[0], s), writeState(dirs[1], s))
}

// Founded reports whether a directory has been founded.
func Founded(fs durable.FS) bool {
	_, err := fs.Stat(stateFile)
	return err == nil
}

// loadState reads a directory's state. Errors: NotFound, Corrupt.
func loadState(fs durable.FS) (*state, error) {
	b, err := durable.ReadFile(fs, stateFile, maxState)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	return decodeState(b)
}

// writeState replaces the state. After an error the old or the new may be there after
// a crash.
func writeState(fs durable.FS, s *state) error {
	b := s.encode()
	defer clear(b)
	return durable.Replace(fs, stateFile, b)
}
