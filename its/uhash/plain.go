package uhash

import "github.com/quantum-secure-cloud/qsc/its/gf128"

// The plain kernel: no table and no branch on data, as package gf128 has it.

func mulPlain(a, b elem) (c elem) {
	c.hi, c.lo = gf128.Mul(a.hi, a.lo, b.hi, b.lo)
	return c
}

// blocksPlain takes the blocks of p into h: h = (h+b)*r for each.
func blocksPlain(k *Key, h *elem, p []byte) {
	r, acc := k.pow[maxPow-1], *h
	for ; len(p) >= Size; p = p[Size:] {
		b := load(p)
		acc = mulPlain(elem{acc.lo ^ b.lo, acc.hi ^ b.hi}, r)
	}
	*h = acc
}
