package chunk

import (
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/share"
)

// metaVersion is the version of the metadata record's layout.
const metaVersion = 1

// SealMeta seals the record itself as the metadata pieces of the object: shared
// like the data, with an AMD code inside, so that any k sites give the record
// back, fewer tell nothing of it, and a change is noticed without any key.
func (s *Sealer) SealMeta(r *cloud.Record, masks []byte) ([][]byte, error) {
	var salt [16]byte
	if err := s.src.Fill(salt[:]); err != nil {
		return nil, err
	}
	code := share.EncodeAMD(encodeMeta(r), salt)
	defer clear(code)
	pieces := make([][]byte, len(s.points))
	for i := range pieces {
		pieces[i] = make([]byte, s.PieceSize(len(code)))
	}
	return pieces, s.Seal(cloud.MetaChunk, code, pieces, masks)
}

// OpenMeta combines the metadata pieces of k sites into the record. The
// placements are Missing: only the caller knows who has a share. Errors:
// Tampered when one of the pieces was changed (which one is not known),
// Insufficient, Invalid for pieces that do not belong together.
func OpenMeta(owner qsc.NodeID, pieces [][]byte) (cloud.Record, error) {
	var r cloud.Record
	if len(pieces) == 0 {
		return r, qsc.E("chunk.OpenMeta", qsc.Insufficient, "", "no piece")
	}
	first, err := share.ParsePiece(pieces[0])
	if err != nil {
		return r, err
	}
	code := make([]byte, first.Header.Length)
	defer clear(code)
	if err := combine(code, pieces, 0, func(p share.Piece) []byte { return p.Payload }); err != nil {
		return r, err
	}
	msg, err := share.DecodeAMD(code)
	if err != nil {
		return r, err
	}
	h := first.Header
	r = cloud.Record{
		Ref: cloud.Ref{Owner: owner, Object: h.Object, Version: h.Version}, State: cloud.Stored,
		K: int(h.K), N: int(h.N), Class: h.Class,
	}
	return r, decodeMeta(&r, msg)
}

// The metadata record:
//
//	version uint8, name text, size uint64, chunk uint64, w uint8, class uint8,
//	policy text, created int64 (nanoseconds since 1970), then for each of the n
//	placements: site text, point uint8, hash key 16 bytes
//
// where text is a 16-bit length and UTF-8 bytes.
func encodeMeta(r *cloud.Record) []byte {
	w := wire.Writer{}
	w.U8(metaVersion).Text(r.Name).U64(uint64(r.Size)).U64(uint64(r.Chunk)).U8(uint8(r.W)).U8(uint8(r.Class))
	w.Text(r.Policy).U64(uint64(r.Created.UnixNano()))
	for _, p := range r.Placements {
		w.Text(string(p.Site)).U8(p.Point).Raw(p.HashKey.Expose())
	}
	return w.B
}

func decodeMeta(r *cloud.Record, b []byte) error {
	d := wire.NewReader(b)
	if v := d.U8(); v != metaVersion {
		return qsc.E("chunk.OpenMeta", qsc.Unsupported, "", "metadata of version %d: this release reads %d", v, metaVersion)
	}
	r.Name = d.Text()
	size, chunk := d.U64(), d.U64()
	r.W, r.Class = int(d.U8()), r.Class|qsc.Class(d.U8())
	r.Policy = d.Text()
	r.Created = time.Unix(0, int64(d.U64())).UTC()
	if size > math.MaxInt64 || chunk < cloud.MinChunk || chunk > cloud.MaxChunk {
		return qsc.E("chunk.OpenMeta", qsc.Corrupt, "", "impossible size or chunk size")
	}
	r.Size, r.Chunk = int64(size), int64(chunk)
	for range r.N {
		p := cloud.Placement{Site: qsc.SiteID(d.Text()), Point: d.U8()}
		key := d.Array16()
		p.HashKey = qsc.NewSecret(key[:])
		r.Placements = append(r.Placements, p)
	}
	return d.Done()
}
