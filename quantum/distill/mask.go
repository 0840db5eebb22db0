package distill

import (
	"fmt"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

const (
	pairSize = 2 * uhash.Size // bytes: a mask for each direction
	pairBits = 8 * pairSize
	// Founding is how many pairs of masks two ends are founded with, and how many
	// they keep: what a good round spends it replaces.
	Founding = 1024
)

// batch is a number of pairs of masks, drawn at founding or cut from one round's
// key: for each pair Alice's mask, then Bob's. The two ends count what they use of
// their own and what they have seen of the other's; whatever is below a count is
// erased and never used again.
type batch struct {
	round uint64
	count uint32
	used  [2]uint32  // of Alice's masks and of Bob's
	masks qsc.Secret // count × pairSize bytes, used ones zero
}

// Format implements fmt.Formatter for every verb.
func (b *batch) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[secret]")) }

func newBatch(round uint64, masks []byte) *batch {
	return &batch{round: round, count: uint32(len(masks) / pairSize), masks: qsc.NewSecret(masks)}
}

// mask returns a view of one mask.
func (b *batch) mask(of Role, i uint32) *[uhash.Size]byte {
	at := int(i)*pairSize + int(of)*uhash.Size
	return (*[uhash.Size]byte)(b.masks.Expose()[at:])
}

// use marks all masks of a direction below i as used.
func (b *batch) use(of Role, i uint32) {
	for ; b.used[of] < i; b.used[of]++ {
		clear(b.mask(of, b.used[of])[:])
	}
}

func (b *batch) left(of Role) int { return int(b.count - b.used[of]) }

func (b *batch) spent() bool { return b.left(Alice) == 0 && b.left(Bob) == 0 }

// masks are the batches of an end, newest first, so that what a round makes is
// used first and the founding stock lasts.
type masks []*batch

func (m masks) offers() []offer {
	list := make([]offer, len(m))
	for i, b := range m {
		list[i] = offer{b.round, b.count}
	}
	return list
}

func (m masks) find(round uint64) *batch {
	for _, b := range m {
		if b.round == round {
			return b
		}
	}
	return nil
}

// shared are the batches that an end says it has.
func (m masks) shared(theirs []offer) (both masks) {
	for _, b := range m {
		if slices.Contains(theirs, offer{b.round, b.count}) {
			both = append(both, b)
		}
	}
	return both
}

// left is how many rounds both directions can still be tagged for.
func (m masks) left() int {
	var n [2]int
	for _, b := range m {
		n[Alice] += b.left(Alice)
		n[Bob] += b.left(Bob)
	}
	return min(n[Alice], n[Bob])
}

// take returns the place of the next unused mask of a direction, and the mask, and
// marks it used: the caller makes the mark durable before a tag is sent. Error:
// Exhausted.
func (m masks) take(of Role) (tag, *[uhash.Size]byte, error) {
	for _, b := range m {
		if b.left(of) > 0 {
			t, mask := tag{round: b.round, index: b.used[of]}, *b.mask(of, b.used[of])
			b.use(of, t.index+1)
			return t, &mask, nil
		}
	}
	return tag{}, nil, exhausted()
}

func exhausted() error {
	return qsc.E("distill.Tag", qsc.Exhausted, "", "no key is left to authenticate with that both ends have: stop both ends and found the link anew")
}

// view returns the other end's mask that a tag names, without marking it. Errors:
// Replayed for one seen before, Tampered for one that is none.
func (m masks) view(of Role, t tag) (*[uhash.Size]byte, error) {
	b := m.find(t.round)
	switch {
	case b == nil || t.index >= b.count:
		return nil, qsc.E("distill.Tag", qsc.Tampered, "", "a tag is under a mask that this end does not have")
	case t.index < b.used[of]:
		return nil, qsc.E("distill.Tag", qsc.Replayed, "", "a tag is under a mask that has served already: somebody repeats old messages")
	}
	return b.mask(of, t.index), nil
}

// clean drops what is used up, and what the other end has said, under a good tag,
// that it lacks: all batches of rounds before the last are finished at both ends.
func (m masks) clean(theirs []offer, round uint64) masks {
	return slices.DeleteFunc(m, func(b *batch) bool {
		drop := b.spent() || b.round+1 < round && !slices.Contains(theirs, offer{b.round, b.count})
		if drop {
			b.masks.Zeroise()
		}
		return drop
	})
}

// add puts a new batch in front.
func (m masks) add(b *batch) masks { return slices.Insert(m, 0, b) }
