package otp

import (
	"crypto/subtle"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// Verify checks that frame is the one its sender sealed with this pad, by Seal or
// by SealClear; ParseHeader tells which, and once Verify returned nil that is
// authentic too. Nothing
// is written or spent: between Verify and Decrypt the receiver makes its mark of
// consumption durable. The frame must not change in between.
//
// Errors: Tampered when the tag fails (the pad stays good for the true frame);
// Invalid when frame is no frame, cut short, too long or of another lane, epoch,
// position or length than the pad; Unsupported as ParseHeader; Conflict when the
// pad is not fresh or already erased.
func Verify(pad *Pad, frame []byte) error {
	const op = "otp.Verify"
	n, err := pad.match(op, frame)
	if err != nil {
		return err
	}
	if err := pad.take(op, fresh); err != nil {
		return err
	}
	l := pad.life
	tag := l.tagOf(frame[:HeaderSize], frame[HeaderSize:HeaderSize+n])
	if !uhash.Equal(tag, [TagSize]byte(frame[HeaderSize+n:])) {
		l.state.Store(fresh)
		return qsc.E(op, qsc.Tampered, "", "the tag of the frame of lane %d at %d is wrong: drop the connection; no key was spent", pad.lane, pad.pos)
	}
	l.tag = tag
	l.state.Store(verified)
	return nil
}

// Decrypt writes the body of a frame, sealed or clear, that Verify accepted with
// this pad to dst, which must be long enough, returns its length and spends the
// pad. dst may be
// the frame's own body, frame[HeaderSize:]; any other overlap is refused.
//
// Errors: Invalid for a wrong dst, Conflict for a pad that did not verify this
// very frame; in both cases nothing was written or spent.
func Decrypt(dst []byte, pad *Pad, frame []byte) (int, error) {
	const op = "otp.Decrypt"
	n, err := pad.match(op, frame)
	if err != nil {
		return 0, err
	}
	if err := checkDst(op, dst, frame, n); err != nil {
		return 0, err
	}
	if err := pad.take(op, verified); err != nil {
		return 0, err
	}
	l := pad.life
	if !uhash.Equal(l.tag, [TagSize]byte(frame[HeaderSize+n:])) {
		l.state.Store(verified)
		return 0, qsc.E(op, qsc.Conflict, "", "the pad of lane %d at %d verified another frame than this", pad.lane, pad.pos)
	}
	if len(l.key) == KeyOverhead {
		copy(dst[:n], frame[HeaderSize:HeaderSize+n]) // in clear, or empty
	} else {
		l.decrypt(dst[:n], frame[HeaderSize:HeaderSize+n])
	}
	l.spend(len(l.key))
	return n, nil
}

// Open is Verify and Decrypt in one, for a receiver whose mark of consumption is
// durable already. When it fails nothing was written and nothing spent. Errors
// as of the two.
func Open(dst []byte, pad *Pad, frame []byte) (int, error) {
	const op = "otp.Open"
	n, err := pad.match(op, frame)
	if err != nil {
		return 0, err
	}
	if err := checkDst(op, dst, frame, n); err != nil {
		return 0, err
	}
	if err := Verify(pad, frame); err != nil {
		return 0, err
	}
	return Decrypt(dst, pad, frame)
}

// match parses frame and returns its body length if it is for this pad.
func (p *Pad) match(op string, frame []byte) (int, error) {
	h, err := ParseHeader(frame)
	if err != nil {
		return 0, err
	}
	if len(frame) != Overhead+int(h.Len) {
		return 0, qsc.E(op, qsc.Invalid, "", "%d bytes, but the header makes it %d: the frame was cut or joined", len(frame), Overhead+int(h.Len))
	}
	if h != p.header(int(h.Len), h.Clear) || h.PadLen() != p.Len() {
		return 0, qsc.E(op, qsc.Invalid, "", "the frame of lane %d epoch %d at %d+%d is not for the pad of lane %d epoch %d at %d+%d: ask the ledger for the pad its header names",
			h.Lane, h.Epoch, h.Pos, h.PadLen(), p.lane, p.epoch, p.pos, p.Len())
	}
	return int(h.Len), nil
}

func checkDst(op string, dst, frame []byte, n int) error {
	if len(dst) < n {
		return qsc.E(op, qsc.Invalid, "", "a buffer of %d bytes for a body of %d", len(dst), n)
	}
	if dst = dst[:n]; overlap(dst, frame) && &dst[0] != &frame[HeaderSize] {
		return qsc.E(op, qsc.Invalid, "", "buffer and frame overlap: open in place at byte %d, or into another buffer", HeaderSize)
	}
	return nil
}

func (l *life) tagOf(header, text []byte) [TagSize]byte {
	var k uhash.Key
	l.point(&k, len(text))
	defer k.Zeroise()
	h := k.Start(header)
	h.Write(text)
	return h.Tag((*[16]byte)(l.key[16:32]))
}

// decrypt undoes text to dst, tile by tile, erasing the pad behind it.
func (l *life) decrypt(dst, text []byte) {
	key := l.key[KeyOverhead:]
	for len(text) > 0 {
		c := min(tile, len(text))
		subtle.XORBytes(dst[:c], text[:c], key[:c])
		clear(key[:c])
		dst, text, key = dst[c:], text[c:], key[c:]
	}
}
