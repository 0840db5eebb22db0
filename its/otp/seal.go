package otp

import (
	"crypto/subtle"
	"unsafe"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// tile is what is encrypted, hashed and erased in one go: dst, body and pad
// together stay in a core's nearest caches.
const tile = 16 << 10

// Seal writes the frame of body to dst, which must be exactly Overhead longer,
// and spends the pad, which must be exactly KeyOverhead longer. Each stretch of
// pad is overwritten right after its use. body may be dst[HeaderSize:] up to its
// own length, to seal in place; any other overlap is refused.
//
// Errors: Invalid for wrong lengths or overlap, Conflict for a pad that is not
// fresh or already erased; in both cases nothing was written or spent.
func Seal(dst []byte, pad *Pad, body []byte) error {
	const op = "otp.Seal"
	n := len(body)
	if n > MaxBody || len(dst) != Overhead+n || pad.Len() != KeyOverhead+n {
		return qsc.E(op, qsc.Invalid, "", "a body of %d bytes needs a frame of %d and a pad of %d, not %d and %d; the limit is %d",
			n, Overhead+n, KeyOverhead+n, len(dst), pad.Len(), MaxBody)
	}
	if err := checkBody(op, dst, body); err != nil {
		return err
	}
	if err := pad.take(op, fresh); err != nil {
		return err
	}
	pad.header(n, false).Put(dst)
	tag := pad.life.seal(dst[:HeaderSize], dst[HeaderSize:HeaderSize+n], body)
	copy(dst[HeaderSize+n:], tag[:])
	pad.life.spend(KeyOverhead + n)
	return nil
}

// SealClear writes a frame whose body anyone may read to dst, which must be
// exactly Overhead longer, and spends the pad, which must be exactly KeyOverhead
// long. The tag protects it as it does a sealed one. body may be in place as in
// Seal. It has a name of its own so that no pad that is too short can ever make
// Seal send a secret in clear.
//
// Errors as Seal.
func SealClear(dst []byte, pad *Pad, body []byte) error {
	const op = "otp.SealClear"
	n := len(body)
	if n > MaxBody || len(dst) != Overhead+n || pad.Len() != KeyOverhead {
		return qsc.E(op, qsc.Invalid, "", "a clear body of %d bytes needs a frame of %d and a pad of %d, not %d and %d; the limit is %d",
			n, Overhead+n, KeyOverhead, len(dst), pad.Len(), MaxBody)
	}
	if err := checkBody(op, dst, body); err != nil {
		return err
	}
	if err := pad.take(op, fresh); err != nil {
		return err
	}
	pad.header(n, true).Put(dst)
	text := dst[HeaderSize : HeaderSize+n]
	copy(text, body)
	tag := pad.life.tagOf(dst[:HeaderSize], text)
	copy(dst[HeaderSize+n:], tag[:])
	pad.life.spend(KeyOverhead)
	return nil
}

func checkBody(op string, dst, body []byte) error {
	if overlap(dst, body) && &dst[HeaderSize] != &body[0] {
		return qsc.E(op, qsc.Invalid, "", "frame and body overlap: seal in place at byte %d, or into another buffer", HeaderSize)
	}
	return nil
}

// seal encrypts body to text, tile by tile, erasing the pad behind it.
func (l *life) seal(header, text, body []byte) [TagSize]byte {
	var k uhash.Key
	l.point(&k, len(text))
	defer k.Zeroise()
	h := k.Start(header)
	key := l.key[KeyOverhead:]
	for len(body) > 0 {
		c := min(tile, len(body))
		subtle.XORBytes(text[:c], body[:c], key[:c])
		h.Write(text[:c])
		clear(key[:c])
		text, body, key = text[c:], body[c:], key[c:]
	}
	return h.Tag((*[16]byte)(l.key[16:32]))
}

// point sets k to the frame's own point with the guard added to it.
func (l *life) point(k *uhash.Key, n int) {
	var r [16]byte
	subtle.XORBytes(r[:], l.key[:16], l.guard[:])
	k.ResetFor(&r, HeaderSize+n)
	clear(r[:])
}

func (p *Pad) header(n int, open bool) Header {
	return Header{Lane: p.lane, Epoch: p.epoch, Pos: p.pos, Len: uint32(n), Clear: open}
}

// overlap reports whether a and b share memory.
func overlap(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	return uintptr(unsafe.Pointer(&a[0])) <= uintptr(unsafe.Pointer(&b[len(b)-1])) &&
		uintptr(unsafe.Pointer(&b[0])) <= uintptr(unsafe.Pointer(&a[len(a)-1]))
}
