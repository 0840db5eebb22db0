package cloud

import (
	"math"
	"unicode/utf8"

	"github.com/quantum-secure-cloud/qsc"
)

// HashKeySize is the length of a placement's hash key in bytes.
const HashKeySize = 16

// Check reports what keeps a record out of a catalogue, as Invalid: every
// Catalog calls it before it writes. A Pending record may have Size -1 (not
// known yet) and hash keys of length 0.
func (r *Record) Check(op string) error {
	if err := r.Ref.Check(op); err != nil {
		return err
	}
	if r.Name == "" || len(r.Name) > MaxName || !utf8.ValidString(r.Name) {
		return invalid(op, "the name must be 1 to %d bytes of UTF-8", MaxName)
	}
	if r.State > Doomed {
		return invalid(op, "state %d is not known", r.State)
	}
	if r.Size < -1 || (r.Size < 0 && r.State != Pending) {
		return invalid(op, "size %d is negative", r.Size)
	}
	if r.Chunk < 1 || r.Chunk > MaxChunk {
		return invalid(op, "chunk size %d is not in 1..%d", r.Chunk, MaxChunk)
	}
	if r.Size > 0 && (r.Size-1)/r.Chunk >= MaxChunks {
		return invalid(op, "size %d makes more than %d chunks: take bigger chunks", r.Size, uint32(MaxChunks))
	}
	return r.checkPlacements(op)
}

func (r *Record) checkPlacements(op string) error {
	if r.K < 1 || r.N < r.K || r.N > 255 || r.W < r.K || r.W > r.N {
		return invalid(op, "policy k=%d n=%d w=%d does not hold 1 ≤ k ≤ w ≤ n ≤ 255", r.K, r.N, r.W)
	}
	if len(r.Placements) != r.N {
		return invalid(op, "%d placements for n=%d", len(r.Placements), r.N)
	}
	point := byte(0)
	for _, p := range r.Placements {
		if p.Point <= point {
			return invalid(op, "points must rise from 1")
		}
		if p.Site == "" || p.State > Damaged {
			return invalid(op, "the placement of point %d has no site or an unknown state", p.Point)
		}
		if l := p.HashKey.Len(); l != HashKeySize && l != 0 {
			return invalid(op, "the hash key of point %d is %d bytes, not %d", p.Point, l, HashKeySize)
		}
		point = p.Point
	}
	return nil
}

// Check reports an owner or a version out of bounds, as Invalid.
func (r Ref) Check(op string) error {
	if r.Owner == "" || len(r.Owner) > MaxOwner || !utf8.ValidString(string(r.Owner)) {
		return invalid(op, "the owner must be 1 to %d bytes of UTF-8", MaxOwner)
	}
	if r.Version > math.MaxInt64 {
		return invalid(op, "version %d is beyond 2^63-1", r.Version)
	}
	return nil
}

// CheckPiece reports a piece whose length is out of bounds, as Invalid.
func CheckPiece(op string, piece []byte) error {
	if len(piece) < MinPiece || len(piece) > MaxPiece {
		return invalid(op, "a piece of %d bytes is not in %d..%d", len(piece), MinPiece, MaxPiece)
	}
	return nil
}

// CheckMeta reports a metadata piece whose length is out of bounds, as Invalid.
func CheckMeta(op string, meta []byte) error {
	if len(meta) < 1 || len(meta) > MaxMeta {
		return invalid(op, "a metadata piece of %d bytes is not in 1..%d", len(meta), MaxMeta)
	}
	return nil
}

// CheckRun reports chunks first … first+count-1 that cannot be kept masks of:
// data chunks lie below MaxChunks, and MetaChunk stands alone. Invalid.
func CheckRun(op string, first, count uint32) error {
	if first == MetaChunk && count == 1 {
		return nil
	}
	if uint64(first)+uint64(count) > MaxChunks {
		return invalid(op, "chunks %d+%d reach beyond %d", first, count, uint32(MaxChunks))
	}
	return nil
}

// Page is the limit of a listing: MaxList for 0, Invalid outside 0..MaxList.
func Page(op string, limit int) (int, error) {
	if limit < 0 || limit > MaxList {
		return 0, invalid(op, "limit %d is not in 0..%d", limit, MaxList)
	}
	if limit == 0 {
		return MaxList, nil
	}
	return limit, nil
}

func invalid(op, format string, args ...any) error {
	return qsc.E(op, qsc.Invalid, "", format, args...)
}
