package twins

import (
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
)

const (
	placeFile  = "place"
	listSuffix = ".list"
	placeMagic = 0x51534350 // QSCP
	placeHead  = 4 + 1 + 4 + 8 + 2

	maxHeld  = 4096 // numbers passed over that may still be used
	maxAhead = 4096 // how far beyond the next number something wanted is looked for
	maxLists = 4096 // lists that wait for the slave
)

// place is the master's place in the link's numbers: every number at or above
// next and every one held is unused; no other is used again in this epoch.
type place struct {
	epoch uint32
	next  uint64
	held  []uint64 // rising
}

// pick finds the lowest unused number that is wanted and takes it. What it passes
// over is held for later, the newest maxHeld of it.
func (p *place) pick(want func(uint64) bool) (uint64, bool) {
	for i, seq := range p.held {
		if want(seq) {
			p.held = slices.Delete(p.held, i, i+1)
			return seq, true
		}
	}
	for seq := p.next; seq < p.next+maxAhead && seq < math.MaxUint64-maxAhead; seq++ {
		if !want(seq) {
			continue
		}
		for ; p.next < seq; p.next++ {
			p.held = append(p.held, p.next)
		}
		p.next++
		p.held = p.held[max(0, len(p.held)-maxHeld):]
		return seq, true
	}
	return 0, false
}

// giveBack makes a number that was picked free again: no block has it.
func (p *place) giveBack(seq uint64) {
	if at, there := slices.BinarySearch(p.held, seq); !there && len(p.held) < maxHeld {
		p.held = slices.Insert(p.held, at, seq)
	}
}

func (p *place) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, placeHead+8*len(p.held)+4)}
	w.U32(placeMagic).U8(1).U32(p.epoch).U64(p.next).U16(uint16(len(p.held)))
	for _, seq := range p.held {
		w.U64(seq)
	}
	return w.U32(crc32.Checksum(w.B, castagnoli)).B
}

// decodePlace reads what encode wrote. Error: Corrupt.
func decodePlace(b []byte) (p place, err error) {
	r := wire.NewReader(b)
	magic, version := r.U32(), r.U8()
	p.epoch, p.next = r.U32(), r.U64()
	n := int(r.U16())
	for i := 0; i < n && r.Err() == nil; i++ {
		p.held = append(p.held, r.U64())
	}
	sum := r.U32()
	if r.Done() != nil || magic != placeMagic || version != 1 || n > maxHeld || sum != crc32.Checksum(b[:len(b)-4], castagnoli) ||
		!rising(p.held, p.next) {
		return place{}, qsc.E("twins.Open", qsc.Corrupt, placeFile, "the file is damaged: provision the link anew, in a new epoch")
	}
	return p, nil
}

func rising(held []uint64, next uint64) bool {
	for i, seq := range held {
		if seq >= next || i > 0 && held[i-1] >= seq {
			return false
		}
	}
	return true
}

// load reads the place of an epoch. An older epoch's is forgotten with its lists.
func load(fs durable.FS, epoch uint32) (place, error) {
	b, err := durable.ReadFile(fs, placeFile, placeHead+8*maxHeld+4)
	if qsc.IsKind(err, qsc.NotFound) {
		return place{epoch: epoch}, nil
	}
	if err != nil {
		return place{}, err
	}
	p, err := decodePlace(b)
	switch {
	case err != nil:
		return place{}, err
	case p.epoch > epoch:
		return place{}, qsc.E("twins.Open", qsc.Conflict, placeFile, "the directory is of epoch %d, the link of epoch %d: no number may serve twice", p.epoch, epoch)
	case p.epoch < epoch:
		return place{epoch: epoch}, nil
	}
	return p, nil
}

func listName(seq uint64) string { return fmt.Sprintf("%016x%s", seq, listSuffix) }

// lists returns the numbers of the lists in a directory, rising.
func lists(fs durable.FS) (seqs []uint64, err error) {
	entries, err := fs.ReadDir(".")
	for _, e := range entries {
		if text, ok := strings.CutSuffix(e.Name(), listSuffix); ok && len(text) == 16 {
			if seq, err := strconv.ParseUint(text, 16, 64); err == nil {
				seqs = append(seqs, seq)
			}
		}
	}
	slices.Sort(seqs)
	return seqs, err
}
