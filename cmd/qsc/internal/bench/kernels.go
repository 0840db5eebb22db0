package bench

import (
	"math/rand/v2"

	"github.com/hashicorp/vault/shamir"

	"github.com/quantum-secure-cloud/qsc/its/share"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// block is the size at which kernels are compared: a tile that a core's second
// cache holds together with its shares.
const block = 64 << 10

// kernel is one thing to measure on a block.
type kernel struct {
	name   string
	run    func() error
	rates  []float64
	ratios []float64
}

// Kernels measures splitting, combining and tagging on one core beside memcpy of
// the same block, turn by turn, and a peer's secret sharing.
func Kernels() ([]Row, error) {
	all, err := kernels()
	if err != nil {
		return nil, err
	}
	src, dst := noise(block), make([]byte, block)
	for range rounds {
		base := rate(block, func() { copy(dst, src) })
		for _, k := range all {
			var failed error
			v := rate(block, func() {
				if err := k.run(); err != nil {
					failed = err
				}
			})
			if failed != nil {
				return nil, failed
			}
			k.rates, k.ratios = append(k.rates, v), append(k.ratios, v/base)
		}
	}
	var rows []Row
	for _, k := range all {
		rows = append(rows, Row{k.name, median(k.rates) / 1e9, "GB/s", median(k.ratios), "memcpy of the same block"})
	}
	return rows, nil
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // test bytes, not key; never fails
	return b
}

func kernels() ([]*kernel, error) {
	secret, coeff := noise(block), noise(block)
	shares := [][]byte{make([]byte, block), make([]byte, block), make([]byte, block)}
	split, err := share.NewSplitter(2, share.Points(3))
	if err != nil {
		return nil, err
	}
	combine, err := share.NewCombiner([]byte{1, 3}, 0)
	if err != nil {
		return nil, err
	}
	out, pair := make([]byte, block), [][]byte{noise(block), noise(block)}
	key, mask := uhash.NewKey([16]byte{1, 2, 3}), [16]byte{4}
	theirs, err := shamir.Split(secret, 3, 2)
	if err != nil {
		return nil, err
	}
	return []*kernel{
		{name: "split-2of3-64KiB", run: func() error { return split.Split(secret, coeff, shares) }},
		{name: "combine-2of3-64KiB", run: func() error { return combine.Combine(out, pair) }},
		{name: "tag-64KiB", run: func() error { key.Tag(&mask, nil, secret); return nil }},
		{name: "split-2of3-64KiB-hashicorp-vault", run: func() error { _, err := shamir.Split(secret, 3, 2); return err }},
		{name: "combine-2of3-64KiB-hashicorp-vault", run: func() error { _, err := shamir.Combine(theirs[:2]); return err }},
	}, nil
}
