// Package uhash is the one-time Wegman-Carter tag: a polynomial evaluation hash
// over GF(2^128), masked with 16 key bytes that are used once. It is
// information-theoretically secure: no assumption on anybody's computing power.
//
// # Field
//
// Sixteen bytes are one element in natural order, without reflection: bit i of
// byte j is the coefficient of x^(8j+i), the modulus is x^128+x^7+x^2+x+1.
//
// # Tag
//
// The message is two strings, header and body. Its blocks b_1..b_m are the
// header zero-padded to a multiple of 16 bytes, the body zero-padded likewise,
// and one length block: len(header) then len(body), in bytes, each a uint64 in
// little-endian order. (Little-endian because the block is a field element and
// not an integer field of a format; every other integer of ours is big-endian.)
//
//	H_r(header, body) = b_1 r^m + b_2 r^(m-1) + ... + b_m r
//	tag               = H_r(header, body) xor mask
//
// # Bound
//
// Provided r is uniform and secret, and each mask is uniform, secret and used
// for one message only, one attempt to have a message accepted that was not
// sent succeeds with probability at most m/2^128, m being the block count of
// the longer of the forged message and the one sent under that mask (at most
// 1/2^128 where none was sent). r may be kept for many messages as long as each
// has a fresh mask: the tags are then uniform and say nothing of r. Only a
// refused attempt says anything (it rules out at most m values of r), so q
// attempts under one r, chosen in any way, succeed with probability at most
// q*m/2^128. If one mask serves two messages, the two tags give an equation for
// r, and nothing is promised any more.
//
// The package does not draw keys or masks, does not remember which mask is
// spent (its/otp and the key ledger do), does not encrypt and does no I/O.
package uhash

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
)

// Size is the length in bytes of a tag, a mask and a field element.
const Size = 16

// maxPow is the largest number of powers of r a Key holds, hence the largest
// number of blocks a kernel takes before it reduces.
const maxPow = 64

// elem is a field element; bit i of lo is the coefficient of x^i, bit i of hi
// that of x^(64+i).
type elem struct{ lo, hi uint64 }

func load(b []byte) elem {
	return elem{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

func (e elem) bytes() (b [Size]byte) {
	binary.LittleEndian.PutUint64(b[:], e.lo)
	binary.LittleEndian.PutUint64(b[8:], e.hi)
	return b
}

// Mul returns the product of a and b in the field, in constant time.
func Mul(a, b [16]byte) [16]byte {
	return mul(load(a[:]), load(b[:])).bytes()
}

// Key is the secret point r and the powers of it that the kernels want. After
// NewKey or Reset it is only read, so any number of goroutines may hash under
// one Key. It has no printable form.
type Key struct {
	pow [maxPow]elem // pow[maxPow-i] is r^i, for 1 <= i <= n
	n   int
}

// NewKey makes a key that is fast for messages of any length.
func NewKey(r [16]byte) *Key {
	k := new(Key)
	k.Reset(&r)
	return k
}

// Reset gives k another point, as NewKey does, without allocating. r is copied.
func (k *Key) Reset(r *[16]byte) { k.ResetFor(r, math.MaxInt) }

// ResetFor is Reset for messages of about n bytes: it leaves out the powers that
// would cost more than they gain, which matters when a key serves one short
// frame. Longer messages give the same tags, more slowly.
func (k *Key) ResetFor(r *[16]byte, n int) {
	k.pow[maxPow-1] = load(r[:])
	k.n = expand(k, n)
}

// Zeroise overwrites r and its powers. Tags under a zeroised key are worthless.
func (k *Key) Zeroise() {
	if k.n > 0 {
		clear(k.pow[maxPow-k.n:])
	}
	k.n = 1
}

// Format implements fmt.Formatter for every verb.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[secret]")) }

// LogValue implements slog.LogValuer.
func (k *Key) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText keeps encoders from reaching the powers.
func (k *Key) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Tag returns the tag of header and body under k and mask. The mask must never
// be used for another message.
func (k *Key) Tag(mask *[16]byte, header, body []byte) [16]byte {
	h := k.Start(header)
	h.Write(body)
	return h.Tag(mask)
}

// Verify reports in constant time whether tag belongs to header and body.
func (k *Key) Verify(mask *[16]byte, header, body []byte, tag [16]byte) bool {
	return Equal(k.Tag(mask, header, body), tag)
}

// Equal compares two tags in constant time.
func Equal(a, b [16]byte) bool {
	x, y := load(a[:]), load(b[:])
	return (x.lo^y.lo)|(x.hi^y.hi) == 0
}
