// Package chunk turns the chunks of an object into sealed pieces, one for each
// site, and back.
//
// It moves nothing, keeps nothing and draws no randomness of its own: the bytes
// come from a share.Source.
package chunk

import (
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/its/share"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// Sealer seals the chunks of one version of an object. It is used by one
// goroutine.
type Sealer struct {
	header share.Header // all but point, kind, chunk and length
	split  *share.Splitter
	points []byte
	keys   []*uhash.Key // by rising point
	src    share.Source
	coeff  []byte
	shares [][]byte
}

// NewSealer prepares the sealing of r's chunks with bytes from src. r must have
// its placements with their hash keys, by rising point.
func NewSealer(r *cloud.Record, src share.Source) (*Sealer, error) {
	s := &Sealer{header: headerOf(r), src: src, shares: make([][]byte, r.N)}
	for _, p := range r.Placements {
		s.points = append(s.points, p.Point)
		s.keys = append(s.keys, uhash.NewKey([16]byte(p.HashKey.Expose())))
	}
	var err error
	s.split, err = share.NewSplitter(r.K, s.points)
	return s, err
}

func headerOf(r *cloud.Record) share.Header {
	return share.Header{
		Scheme: share.Shamir, Field: share.GF256, K: uint8(r.K), N: uint8(r.N),
		Class: r.Class, Object: r.Ref.Object, Version: r.Ref.Version,
	}
}

// PieceSize is the size of the pieces of a chunk of n secret bytes.
func (s *Sealer) PieceSize(n int) int { return share.PieceSize(len(s.points), n) }

// Seal writes the pieces of one chunk into pieces, each of PieceSize bytes, and
// its fresh tag masks, 16 bytes for each point, into masks. The coefficients
// are erased before it returns.
func (s *Sealer) Seal(index uint32, secret []byte, pieces [][]byte, masks []byte) error {
	kind := share.Data
	if index == cloud.MetaChunk {
		kind = share.Metadata
	}
	if err := s.src.Fill(masks); err != nil {
		return err
	}
	for i, p := range pieces {
		h := s.header
		h.Point, h.Kind, h.Chunk, h.Length = s.points[i], kind, index, uint32(len(secret))
		h.Put(p)
	}
	if err := s.spread(secret, pieces, share.HeaderSize); err != nil {
		return err
	}
	if err := s.spread(masks, pieces, share.HeaderSize+len(secret)); err != nil {
		return err
	}
	for i, p := range pieces {
		if err := share.SealPiece(p, s.keys[i], (*[16]byte)(masks[16*i:])); err != nil {
			return err
		}
	}
	return nil
}

// spread writes the shares of secret at offset off of every piece.
func (s *Sealer) spread(secret []byte, pieces [][]byte, off int) error {
	n := (s.split.K() - 1) * len(secret)
	if cap(s.coeff) < n {
		s.coeff = make([]byte, n)
	}
	coeff := s.coeff[:n]
	defer clear(coeff)
	if err := s.src.Fill(coeff); err != nil {
		return err
	}
	for i, p := range pieces {
		s.shares[i] = p[off : off+len(secret)]
	}
	return s.split.Split(secret, coeff, s.shares)
}

// Zeroise forgets the hash keys.
func (s *Sealer) Zeroise() {
	for _, k := range s.keys {
		k.Zeroise()
	}
}

// Opener checks and opens pieces of one version of an object. It may be used by
// several goroutines.
type Opener struct {
	rec  *cloud.Record
	keys map[byte]*uhash.Key
	rank map[byte]int // of a point among the points
}

// NewOpener prepares the opening of r's chunks.
func NewOpener(r *cloud.Record) *Opener {
	o := &Opener{rec: r, keys: map[byte]*uhash.Key{}, rank: map[byte]int{}}
	for i, p := range r.Placements {
		o.rank[p.Point] = i
		if p.HashKey.Len() == uhash.Size {
			o.keys[p.Point] = uhash.NewKey([16]byte(p.HashKey.Expose()))
		}
	}
	return o
}

// Check says whether piece is the sealed share of this chunk at this point.
// masks are the chunk's, 16 bytes for each point. Errors: Corrupt, Tampered.
func (o *Opener) Check(index uint32, point byte, piece, masks []byte) error {
	p, err := share.ParsePiece(piece)
	if err != nil {
		return err
	}
	h := p.Header
	if h.Object != o.rec.Ref.Object || h.Version != o.rec.Ref.Version || h.Chunk != index || h.Point != point ||
		int(h.K) != o.rec.K || int(h.N) != o.rec.N || index != cloud.MetaChunk && int64(h.Length) != o.Length(index) {
		return qsc.E("chunk.Check", qsc.Tampered, "", "the piece is another one than asked for: object %s version %d chunk %d point %d", h.Object, h.Version, h.Chunk, h.Point)
	}
	i := 16 * o.rank[point]
	if o.keys[point] == nil || i+16 > len(masks) {
		return qsc.E("chunk.Check", qsc.Invalid, "", "no hash key or mask for point %d", point)
	}
	return share.VerifyPiece(piece, o.keys[point], (*[16]byte)(masks[i:]))
}

// Length is the number of secret bytes in chunk index.
func (o *Opener) Length(index uint32) int64 {
	return min(o.rec.Chunk, o.rec.Size-int64(index)*o.rec.Chunk)
}

// Secret combines k checked pieces into dst, which has the chunk's length.
func (o *Opener) Secret(dst []byte, pieces [][]byte) error {
	return combine(dst, pieces, 0, func(p share.Piece) []byte { return p.Payload })
}

// Masks recovers a chunk's tag masks from k pieces, for a catalogue that has
// lost them. The pieces are not checked yet: check them with the result.
func (o *Opener) Masks(pieces [][]byte) ([]byte, error) {
	masks := make([]byte, 16*o.rec.N)
	return masks, combine(masks, pieces, 0, func(p share.Piece) []byte { return p.MaskShares })
}

// Lost makes the piece at point anew, bit for bit, from k checked pieces of the
// others. masks are the chunk's.
func (o *Opener) Lost(point byte, pieces [][]byte, masks []byte) ([]byte, error) {
	first, err := share.ParsePiece(pieces[0])
	if err != nil {
		return nil, err
	}
	h := first.Header
	h.Point = point
	piece := make([]byte, len(pieces[0]))
	h.Put(piece)
	body := piece[share.HeaderSize:]
	if err := combine(body[:h.Length], pieces, point, func(p share.Piece) []byte { return p.Payload }); err != nil {
		return nil, err
	}
	if err := combine(body[h.Length:len(body)-share.TagSize], pieces, point, func(p share.Piece) []byte { return p.MaskShares }); err != nil {
		return nil, err
	}
	return piece, share.SealPiece(piece, o.keys[point], (*[16]byte)(masks[16*o.rank[point]:]))
}

// combine interpolates one part of the pieces at a point.
func combine(dst []byte, pieces [][]byte, at byte, part func(share.Piece) []byte) error {
	points, parts := make([]byte, len(pieces)), make([][]byte, len(pieces))
	headers := make([]share.Header, len(pieces))
	for i, b := range pieces {
		p, err := share.ParsePiece(b)
		if err != nil {
			return err
		}
		points[i], parts[i], headers[i] = p.Header.Point, part(p), p.Header
	}
	if err := share.CheckSet(headers); err != nil {
		return err
	}
	c, err := share.NewCombiner(points, at)
	if err != nil {
		return err
	}
	return c.Combine(dst, parts)
}
