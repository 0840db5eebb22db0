package ldpc

import (
	"cmp"
	"math/bits"
	"slices"
)

// random is SplitMix64: a fixed stream that makes the same code everywhere. It
// hides nothing.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	x := uint64(*r)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below returns a number in [0, n).
func (r *random) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// lift chooses the block length: a power of two that leaves some 512 blocks of
// variables, in short codes some 32, and at least 24 rows of checks.
func lift(n, m int) int {
	z := 1
	for z < 1024 && m/(2*z) >= 24 && (z < 8 || n/(2*z) >= 512) {
		z *= 2
	}
	return z
}

// builder makes the base graph of one code.
type builder struct {
	*Code
	rng  random
	have [][]int      // the rows of each block
	thin int          // rows, the first, that are to get fewer edges
	used map[lag]bool // what two rows of one block differ by, to shun cycles of four

	lines map[int][]line // of each row: the blocks of two core edges
}

// lag says that rows a < b share a block with shifts that differ by diff.
type lag struct{ a, b, diff int32 }

func build(n, m int) *Code {
	z := lift(n, m)
	b := &builder{
		Code: &Code{n: n, m: m, z: z, cols: (n + z - 1) / z, rows: make([]row, (m+z-1)/z)},
		rng:  random(uint64(n)<<32 | uint64(m)),
		used: map[lag]bool{},

		lines: map[int][]line{},
	}
	b.have = make([][]int, b.cols)
	for r := range b.rows {
		b.rows[r].checks = min(z, m-r*z)
	}
	b.wire(plan(b.cols, m/z, n, m))
	for _, r := range b.rows {
		b.edges += len(r.edges)
	}
	return b.Code
}

// wire lays the edges. The plan's extension rows stand behind its core rows, each
// with one block of degree 1; a last row of fewer than z checks comes on top of
// the plan, so that no block's degree suffers from it.
func (b *builder) wire(p profile) {
	full := b.m / b.z
	core := full - p.leaves
	b.thin = p.thin
	chained := b.chain(p, core)
	for _, t := range p.blocks {
		for i := range t.count {
			switch {
			case chained[t.first+i]:
			case t.core == 2 && core > 2:
				b.span(t.first+i, core, t.ext)
			default:
				b.connect(t.first+i, b.lightest(0, core, t.core))
			}
			b.connect(t.first+i, b.lightest(core, full, t.ext))
		}
	}
	for i := range p.leaves {
		b.add(core+i, b.cols-p.leaves+i, 0)
	}
	if full < len(b.rows) {
		b.surplus(full, p)
	}
}

// chain joins the blocks with 2 core edges and next to no others to a path through
// the core's rows, so that no cycle runs through them alone: such cycles would be
// words of low weight. It says which blocks have their core edges by that.
func (b *builder) chain(p profile, core int) map[int]bool {
	done := map[int]bool{}
	for _, t := range p.blocks {
		if t.core != 2 || t.ext > 2 {
			continue
		}
		for i := range min(t.count, core-1-len(done)) {
			at := len(done)
			b.connect(t.first+i, []int{at, at + 1})
			b.note(t.first+i, at, at+1, t.ext)
			done[t.first+i] = true
		}
	}
	return done
}

// surplus wires the row of fewer than z checks to as many blocks as an average
// row has, spread over those that are not leaves.
func (b *builder) surplus(r int, p profile) {
	inner := b.cols - p.leaves
	degree := max(3, p.edges/max(1, r))
	for i := range min(degree, inner) {
		b.connect(i*inner/min(degree, inner), []int{r})
	}
}

// weight is how full a row is: its edges, in 21sts of what it is to have more or
// less of than others.
func (b *builder) weight(r int) int {
	if r < b.thin {
		return len(b.rows[r].edges) * 7
	}
	return len(b.rows[r].edges) * 3
}

// lightest returns count rows of [from, to) with the fewest edges, ties broken at
// random.
func (b *builder) lightest(from, to, count int) []int {
	count = min(count, to-from)
	if count <= 0 {
		return nil
	}
	type weighed struct{ row, weight int }
	all := make([]weighed, 0, to-from)
	for r := from; r < to; r++ {
		all = append(all, weighed{r, b.weight(r)<<16 | b.rng.below(1<<16)})
	}
	slices.SortFunc(all, func(x, y weighed) int {
		return cmp.Or(cmp.Compare(x.weight, y.weight), cmp.Compare(x.row, y.row))
	})
	picked := make([]int, count)
	for i := range picked {
		picked[i] = all[i].row
	}
	return picked
}

// connect joins a block to rows by shifts that close no cycle of four, or as few
// as can be found: blocks come in rising degree, so those that remain run through
// variables of high degree, where they harm little.
func (b *builder) connect(col int, rows []int) {
	for _, r := range rows {
		b.add(r, col, b.shift(col, r, b.have[col]))
		b.have[col] = append(b.have[col], r)
	}
}

const shiftTries = 128

func (b *builder) shift(col, r int, have []int) int {
	best, least := 0, len(have)+1
	for range shiftTries {
		s := b.rng.below(b.z)
		if c := b.closes(col, r, s, have); c < least {
			best, least = s, c
		}
		if least == 0 {
			break
		}
	}
	for _, o := range have {
		b.used[b.lag(col, r, best, o)] = true
	}
	return best
}

// closes counts the cycles of four that a shift would close.
func (b *builder) closes(col, r, s int, have []int) (n int) {
	for _, o := range have {
		if b.used[b.lag(col, r, s, o)] {
			n++
		}
	}
	return n
}

// lag is what row r with shift s and row o differ by in block col.
func (b *builder) lag(col, r, s, o int) lag {
	other := b.shiftOf(o, col)
	if o < r {
		return lag{int32(o), int32(r), int32((other - s + b.z) % b.z)}
	}
	return lag{int32(r), int32(o), int32((s - other + b.z) % b.z)}
}

func (b *builder) add(r, col, shift int) {
	b.rows[r].edges = append(b.rows[r].edges, edge{col, shift})
}
