package relay

import (
	"crypto/subtle"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/share"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// roundKey is the combined key of a round: n bytes of key, what fills its last
// block (uniform too, and used for nothing), and the 48 check bytes: the mask a of
// the ack's tag, the point r, the mask s of the check.
type roundKey struct {
	N   int
	All qsc.Secret
}

func newRoundKey(o *offer) *roundKey {
	return &roundKey{int(o.N), qsc.NewSecret(make([]byte, o.size()))}
}

func (k *roundKey) whole() []byte { return k.All.Expose() }

// at returns the block that ends so many bytes before the end.
func (k *roundKey) at(fromEnd int) [16]byte { return [16]byte(k.whole()[k.All.Len()-fromEnd-align:]) }

func (k *roundKey) ackMask() [16]byte { return k.at(2 * align) }
func (k *roundKey) point() [16]byte   { return k.at(align) }
func (k *roundKey) mask() [16]byte    { return k.at(0) }

// wipe overwrites all of it.
func (k *roundKey) wipe() { k.All.Zeroise() }

// take returns the key alone, which is the caller's, and overwrites the rest.
func (k *roundKey) take() qsc.Secret {
	b := k.whole()
	clear(b[k.N:])
	return qsc.NewSecret(b[:k.N:k.N])
}

// lead is the first two blocks under the hash: the field's one, and zero. They
// make the hash the polynomial of the AMD code, see check.
var lead = [32]byte{0: 1}

// check is the AMD code's check of the key and of the terms of its round
// (Cramer, Dodis, Fehr, Padró, Wichs, EUROCRYPT 2008):
//
//	f(x, r) xor s,   f(x, r) = r^(d+2) + Σ x_i·r^i for i from 1 to d
//
// over GF(2^128), where the blocks x are the key with all that stands before r (a relay that
// altered the ack's mask alone would else part the two ends), the terms, zeros up to an even
// number of blocks, and the length block of package uhash; so d is odd. It is
// uhash's tag with point r, mask s and the header 1, 0: that package's kernels do
// the work. docs/design/relay.md has the proof of what it detects.
func (k *roundKey) check(t *terms) [16]byte {
	r, s := k.point(), k.mask()
	body := k.whole()[:k.All.Len()-2*align]
	text := t.encode(len(body))
	var h uhash.Key
	h.ResetFor(&r, len(lead)+len(body)+len(text)+align)
	defer h.Zeroise()
	sum := h.Start(lead[:])
	sum.Write(body)
	sum.Write(text)
	return sum.Tag(&s)
}

// verify reports in constant time whether the check of the terms is the key's.
func (k *roundKey) verify(t *terms) bool { return uhash.Equal(k.check(t), t.Offer.Check) }

// encode writes the terms, all but the check, padded so that they and the n
// bytes of key before them are an even number of blocks.
func (t *terms) encode(n int) []byte {
	w := &wire.Writer{B: make([]byte, 0, 128)}
	o := &t.Offer
	w.Raw(t.ID[:]).Text(string(t.From)).Text(string(t.To))
	w.U32(o.N).U8(o.Need).U8(o.Paths).U8(o.Hops).U8(bit(o.Disjoint)).Text(o.Label)
	for (n+len(w.B))%(2*align) != 0 {
		w.U8(0)
	}
	return w.B
}

// ackTag is the tag of an ack: a hash of what it says under the same point and a
// mask of its own.
func (k *roundKey) ackTag(ack *message) [16]byte {
	w := &wire.Writer{}
	w.Raw(ack.ID[:]).U8(uint8(ack.Class)).U8(ack.Got)
	r, a := k.point(), k.ackMask()
	var h uhash.Key
	h.ResetFor(&r, 64)
	defer h.Zeroise()
	return h.Tag(&a, nil, w.B)
}

// seal makes the round's key of its sub-keys, which end here: what the source
// keeps, the check, and what it sends along with each path.
func seal(j jobSeal, subs []part) evSealed {
	defer wipeParts(subs)
	o := &j.Terms.Offer
	used := subs
	if o.Need < o.Paths {
		used = subs[:o.Need]
	}
	k := newRoundKey(o)
	fix, err := fixes(o, subs)
	if err == nil {
		err = combine(k.whole(), o, used)
	}
	if err != nil {
		k.wipe()
		return evSealed{Job: j.Job, Kind: qsc.KindOf(err)}
	}
	return evSealed{Job: j.Job, Key: k, Check: k.check(&j.Terms), Fixes: fix}
}

// verify makes the round's key of the sub-keys that came, and checks it.
func verify(j jobVerify) evVerified {
	k := newRoundKey(&j.Terms.Offer)
	if combine(k.whole(), &j.Terms.Offer, j.Parts) != nil || !k.verify(&j.Terms) {
		k.wipe()
		return evVerified{Job: j.Job}
	}
	ack := message{ID: j.Terms.ID, Class: j.Class, Got: j.Got}
	return evVerified{Job: j.Job, Key: k, Tag: k.ackTag(&ack), OK: true}
}

func subOf(p part) []byte { return p.Handle.(qsc.Secret).Expose() }

func wipeParts(parts []part) {
	for _, p := range parts {
		clear(subOf(p))
	}
}

// combine writes the round's key into dst, made of the sub-keys: their XOR when
// all are needed, else the value at 0 of the polynomial that takes, at path
// number + 1, the sub-key, corrected by what the source sent with it. There are
// exactly Need of them, or all. The sub-keys stay.
func combine(dst []byte, o *offer, parts []part) error {
	if o.Need == o.Paths {
		clear(dst)
		for _, p := range parts {
			subtle.XORBytes(dst, dst, subOf(p))
		}
		return nil
	}
	values := make([][]byte, len(parts))
	for i, p := range parts {
		values[i] = subOf(p)
		if len(p.Fix) > 0 {
			values[i] = make([]byte, len(dst))
			subtle.XORBytes(values[i], subOf(p), p.Fix)
			defer clear(values[i])
		}
	}
	return interpolate(dst, 0, points(parts), values)
}

// fixes returns what makes the sub-keys behind the first Need shares of the
// polynomial that those define: the value at their point, XOR the sub-key. It is
// public: the sub-key masks the value.
func fixes(o *offer, parts []part) (map[uint8][]byte, error) {
	need := int(o.Need)
	if o.Need == o.Paths || len(parts) <= need {
		return nil, nil
	}
	values := make([][]byte, need)
	for i, p := range parts[:need] {
		values[i] = subOf(p)
	}
	all := map[uint8][]byte{}
	for _, p := range parts[need:] {
		fix := make([]byte, len(subOf(p)))
		if err := interpolate(fix, p.Path+1, points(parts[:need]), values); err != nil {
			return nil, err
		}
		subtle.XORBytes(fix, fix, subOf(p))
		all[p.Path] = fix
	}
	return all, nil
}

// interpolate evaluates at a point. One value is the constant polynomial.
func interpolate(dst []byte, at uint8, points []byte, values [][]byte) error {
	if len(values) == 1 {
		copy(dst, values[0])
		return nil
	}
	c, err := share.NewCombiner(points, at)
	if err != nil {
		return err
	}
	return c.Combine(dst, values)
}

func points(parts []part) []byte {
	at := make([]byte, len(parts))
	for i, p := range parts {
		at[i] = p.Path + 1
	}
	return at
}
