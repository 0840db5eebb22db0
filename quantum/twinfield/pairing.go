package twinfield

import (
	"context"
	"encoding/binary"
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// Actively odd parity pairing: Bob joins each of his zeros at random with one of
// his ones, in random order, and announces the pairs; Alice says in which her bits
// differ too. Of those both keep the first bit. An error survives only where both
// bits of a pair were wrong.

const (
	typePairs  = events.TypeFree     // Bob to Alice: pairs, two positions u32 each
	typeParity = events.TypeFree + 1 // Alice to Bob: one bit for each pair, set where hers differ

	pairsInMessage = 1 << 18

	// pairingLeak is charged for the counts of zeros and ones, which Bob tells.
	pairingLeak = 64
)

// pairs draws Bob's pairs.
func (h *half) pairs(r *rand.Rand) [][2]uint32 {
	raw := h.raw.Bits()
	var by [2][]uint32
	for i := range raw.N {
		by[raw.Bit(i)] = append(by[raw.Bit(i)], uint32(i))
	}
	for _, list := range by {
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	pairs := make([][2]uint32, min(len(by[0]), len(by[1])))
	for i := range pairs {
		first := r.IntN(2)
		pairs[i] = [2]uint32{by[first][i], by[1-first][i]}
	}
	return pairs
}

// pairBob announces the pairs and returns the bits that both keep.
func (h *half) pairBob(ctx context.Context, w distill.Wire, r *rand.Rand) (distill.Bits, error) {
	raw, key, pairs := h.raw.Bits(), events.Collector{}, h.pairs(r)
	for len(pairs) > 0 {
		n := min(len(pairs), pairsInMessage)
		msg := make([]byte, 0, 8*n)
		for _, p := range pairs[:n] {
			msg = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(msg, p[0]), p[1])
		}
		if err := w.Send(ctx, typePairs, msg); err != nil {
			return distill.Bits{}, err
		}
		odd, err := w.Receive(ctx, typeParity, (n+7)/8)
		if err != nil {
			return distill.Bits{}, err
		}
		if len(odd) != (n+7)/8 {
			return distill.Bits{}, corrupt("%d bytes of parities for %d pairs", len(odd), n)
		}
		for i, p := range pairs[:n] {
			if events.Packed(odd, i) {
				key.Add(raw.Bit(int(p[0])))
			}
		}
		pairs = pairs[n:]
	}
	return key.Bits(), nil
}

// pairAlice answers the pairs. She knows from the counts how many there are.
func (h *half) pairAlice(ctx context.Context, w distill.Wire) (distill.Bits, error) {
	raw, key := h.raw.Bits(), events.Collector{}
	used := distill.NewBits(raw.N)
	for left := int(min(h.n[cZeros], h.n[cOnes])); left > 0; {
		n := min(left, pairsInMessage)
		msg, err := w.Receive(ctx, typePairs, 8*n)
		if err != nil {
			return distill.Bits{}, err
		}
		if len(msg) != 8*n {
			return distill.Bits{}, corrupt("%d bytes of pairs, not %d", len(msg), 8*n)
		}
		odd, err := parities(raw, used, msg, &key)
		if err != nil {
			return distill.Bits{}, err
		}
		if err := w.Send(ctx, typeParity, odd); err != nil {
			return distill.Bits{}, err
		}
		left -= n
	}
	return key.Bits(), nil
}

// parities reads pairs, marks their positions as used and collects the first bits
// of those whose bits differ. Error: Corrupt for a position out of range or used
// before.
func parities(raw, used distill.Bits, msg []byte, key *events.Collector) ([]byte, error) {
	odd := make([]byte, (len(msg)/8+7)/8)
	for i := 0; i+8 <= len(msg); i += 8 {
		a, b := int(binary.BigEndian.Uint32(msg[i:])), int(binary.BigEndian.Uint32(msg[i+4:]))
		for _, at := range []int{a, b} {
			if at >= raw.N || used.Bit(at) == 1 {
				return nil, corrupt("position %d is not there to be paired", at)
			}
			used.Set(at, 1)
		}
		if raw.Bit(a) != raw.Bit(b) {
			key.Add(raw.Bit(a))
			odd[i/8>>3] |= 1 << (i / 8 & 7)
		}
	}
	return odd, nil
}
