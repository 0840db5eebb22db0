//go:build !purego

package toeplitz

import (
	"fmt"
	"slices"
	"testing"
)

// Every part of the fast kernel against its plain twin, each on its own.
func TestPartsAsPlain(t *testing.T) {
	if len(available()) < 2 {
		t.Skip("this machine runs the plain kernel only")
	}
	for log := minLog; log <= 12; log++ {
		n := 1 << log
		chunks, rows, by := random(1, n), randomRows(2, n/4), randomRows(3, n/4)
		parts := map[string]func(k kernel) any{
			"encode": func(k kernel) any { r := make([]row, n/4); k.encode(r, chunks, planFor(log).lanes[0][1]); return r },
			"toPoly": func(k kernel) any { r := slices.Clone(rows); k.toPoly(r); return r },
			"multiply": func(k kernel) any {
				r := slices.Clone(rows)
				k.multiply(r, by)
				return r
			},
			"decode": func(k kernel) any {
				lo, hi := make([]uint64, n), make([]uint64, n)
				k.decode(lo, hi, slices.Clone(rows), planFor(log).lanes[1][1])
				return [][]uint64{lo, hi}
			},
			"xor": func(k kernel) any { c := slices.Clone(chunks); k.xor(c[:n-3], chunks[3:]); return c },
			"dot": func(k kernel) any { return k.dot(chunks[:n-3], chunks[3:]) },
		}
		for i, d := range []direction{forward, inverseTranspose, transpose, inverse} {
			parts[fmt.Sprint("transform", i)] = func(k kernel) any {
				r := slices.Clone(rows)
				v := tour{plan: planFor(log), k: k, rows: r}
				if v.down = &d; d.up {
					v.down, v.up = nil, &d
				}
				v.run()
				return r
			}
			parts[fmt.Sprint("conversion", i)] = func(k kernel) any {
				c, b := slices.Clone(chunks), borrow(log)
				b.convert(k, c, d)
				b.giveBack()
				return c
			}
		}
		for name, f := range parts {
			if fmt.Sprint(f(gfni)) != fmt.Sprint(f(plain)) {
				t.Errorf("%s of %d points differs", name, n)
			}
		}
	}
}
