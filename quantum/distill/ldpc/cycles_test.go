package ldpc

import "testing"

// lightestRing searches, in the graph itself and by plain relaxation, the lightest word
// that variables of two core checks make with their leaves: a path from one check of a
// variable to its other that does not use it. It looks at limit and below.
func lightestRing(c *Code, limit int) int {
	core := (c.m/c.z - plan(c.cols, c.m/c.z, c.n, c.m).leaves) * c.z
	inCore, weight := make([][]int, c.n), make([]int, c.n)
	at := make([][]int, core)
	for i, list := range neighbours(c) {
		for _, v := range list {
			weight[v]++
			if i < core {
				inCore[v] = append(inCore[v], i)
			}
		}
	}
	for v, list := range inCore {
		weight[v] -= 1 // two checks of the core, one for itself, a leaf for each other
		if len(list) == 2 {
			at[list[0]], at[list[1]] = append(at[list[0]], v), append(at[list[1]], v)
		}
	}
	least := limit + 1
	for v := 0; v < c.n; v += c.z { // the others of a block are like it
		if len(inCore[v]) == 2 {
			least = min(least, weight[v]+detour(at, inCore, weight, v, least-weight[v]))
		}
	}
	return least
}

// detour is the weight of the lightest path between v's checks without v, or limit.
func detour(at, inCore [][]int, weight []int, v, limit int) int {
	best := map[int]int{inCore[v][0]: 0}
	for changed := []int{inCore[v][0]}; len(changed) > 0; {
		p := changed[0]
		changed = changed[1:]
		for _, u := range at[p] {
			q, d := inCore[u][0]+inCore[u][1]-p, best[p]+weight[u]
			if old, ok := best[q]; u != v && d < limit && (!ok || d < old) {
				best[q] = d
				if q != inCore[v][1] {
					changed = append(changed, q)
				} else {
					limit = d
				}
			}
		}
	}
	return max(limit, 0)
}

// Where more blocks have two core checks than a path holds, they make rings, and with
// their leaves words. A code of (65536, 47840) once had one of weight 23, which decoders
// ended in; a word as light as the limit is never found at the rate's noise.
func TestNoLightRings(t *testing.T) {
	for _, s := range []struct{ n, m, least int }{
		{65536, 47840, 45}, {16384, 11960, 34}, {32768, 29491, 80},
	} {
		if got := lightestRing(code(t, s.n, s.m), s.least); got < s.least {
			t.Errorf("(%d, %d) has a word of weight %d, at least %d are wanted", s.n, s.m, got, s.least)
		}
	}
}
