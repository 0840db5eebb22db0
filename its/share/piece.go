package share

import (
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// Piece is one site's share of one chunk, taken apart. Its slices are views
// into the buffer that was parsed.
type Piece struct {
	Header     Header
	Payload    []byte // the share, Header.Length bytes
	MaskShares []byte // N·16 bytes: shares, at this point, of the N tag masks
	Tag        [TagSize]byte
}

// PieceSize returns the size in bytes of a piece of n shares with the given
// payload: header, payload, n mask shares and tag.
func PieceSize(n, payload int) int { return HeaderSize + payload + n*TagSize + TagSize }

// ParsePiece takes apart the piece that fills b exactly. It allocates nothing
// and copies only the tag. Header faults, truncation and excess are Kind
// Corrupt, saying which. The tag is not checked: that is VerifyPiece.
func ParsePiece(b []byte) (Piece, error) {
	const op = "share.ParsePiece"
	h, err := ParseHeader(b)
	if err != nil {
		return Piece{}, err
	}
	switch want := PieceSize(int(h.N), int(h.Length)); {
	case len(b) < want:
		return Piece{}, qsc.E(op, qsc.Corrupt, "", "piece is cut short: %d bytes, its header says %d", len(b), want)
	case len(b) > want:
		return Piece{}, qsc.E(op, qsc.Corrupt, "", "piece is too long: %d bytes, its header says %d", len(b), want)
	}
	masks := HeaderSize + int(h.Length)
	tag := len(b) - TagSize
	return Piece{
		Header:     h,
		Payload:    b[HeaderSize:masks:masks],
		MaskShares: b[masks:tag:tag],
		Tag:        [TagSize]byte(b[tag:]),
	}, nil
}

// SealPiece writes the tag of piece, a buffer of exactly PieceSize bytes with
// header, payload and mask shares in place. The tag is the universal hash of
// everything before it, under key, plus mask. The mask is 16 uniform bytes
// used for this piece alone; the key may serve many pieces. The caller owns
// all memory. A buffer that is no piece is Kind Corrupt.
func SealPiece(piece []byte, key *uhash.Key, mask *[TagSize]byte) error {
	if _, err := ParsePiece(piece); err != nil {
		return err
	}
	body := len(piece) - TagSize
	tag := key.Tag(mask, piece[:HeaderSize], piece[HeaderSize:body])
	copy(piece[body:], tag[:])
	return nil
}

// VerifyPiece checks the tag of piece in constant time. A wrong one is Kind
// Tampered, a buffer that is no piece Kind Corrupt.
func VerifyPiece(piece []byte, key *uhash.Key, mask *[TagSize]byte) error {
	p, err := ParsePiece(piece)
	if err != nil {
		return err
	}
	body := len(piece) - TagSize
	if !key.Verify(mask, piece[:HeaderSize], piece[HeaderSize:body], p.Tag) {
		return qsc.E("share.VerifyPiece", qsc.Tampered, "",
			"the tag of object %s version %d chunk %d share %d does not fit: set this share aside and use another site's",
			p.Header.Object, p.Header.Version, p.Header.Chunk, p.Header.Point)
	}
	return nil
}
