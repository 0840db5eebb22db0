package ldpc

import (
	"cmp"
	"slices"
)

// share is how much of a code's blocks, in 1/10000, have core edges to rows of
// the core and ext edges to extension rows.
type share struct{ core, ext, part int }

// degrees is a distribution for one rate of checks. leaves is the share of blocks
// of degree 1, each with an extension row of its own; checks have even degrees.
type degrees struct {
	rate   int // checks per variable, in 1/10000
	leaves int
	shares []share
	thin   int // of the core's rows, the first so many per cent get 3 edges for 7 of the others
}

// table holds the distributions, in rising rate. Up to a rate of 0.85 they come
// of a linear program over EXIT functions (Gaussian approximation, reciprocal
// channel for checks, blocks of degree 2 held to 0.85 of the rows so that they
// form no cycle). From 0.9 on they are the multi-edge types of Richardson and
// Urbanke and of Jouguet, Kunz-Jacques and Leverrier (PRA 84, 062317): a core of
// high degree and one leaf for each extension row.
var table = []degrees{
	{300, 0, []share{{2, 0, 255}, {3, 0, 6736}, {9, 0, 961}, {10, 0, 1331}, {30, 0, 492}, {40, 0, 225}}, 0},
	{500, 0, []share{{2, 0, 425}, {3, 0, 6772}, {10, 0, 2036}, {12, 0, 145}, {30, 0, 166}, {40, 0, 456}}, 0},
	{800, 0, []share{{2, 0, 680}, {3, 0, 6661}, {10, 0, 2041}, {40, 0, 618}}, 0},
	{1200, 0, []share{{2, 0, 1019}, {3, 0, 6474}, {10, 0, 1787}, {12, 0, 168}, {40, 0, 552}}, 0},
	{1700, 0, []share{{2, 0, 2869}, {3, 0, 4160}, {8, 0, 2601}, {32, 0, 1011}}, 0},
	{2300, 0, []share{{2, 0, 1955}, {3, 0, 5803}, {10, 0, 1604}, {12, 0, 200}, {40, 0, 438}}, 0},
	{3000, 0, []share{{2, 0, 2546}, {3, 0, 5258}, {9, 0, 688}, {10, 0, 1057}, {40, 0, 451}}, 0},
	{4000, 0, []share{{2, 0, 3397}, {3, 0, 4452}, {8, 0, 226}, {9, 0, 1495}, {40, 0, 430}}, 0},
	{5000, 0, []share{{2, 0, 4328}, {3, 0, 3473}, {7, 0, 841}, {8, 0, 901}, {30, 0, 457}}, 0},
	{6670, 4902, []share{{2, 4, 1140}, {3, 7, 1876}, {2, 1, 1650}}, 0},
	{8000, 6980, []share{{2, 8, 584}, {3, 9, 900}, {2, 2, 500}}, 0},
	{9000, 8750, []share{{2, 20, 775}, {3, 22, 475}}, 0},
	{9500, 9300, []share{{2, 34, 400}, {3, 34, 300}}, 0},
	{9800, 9600, []share{{2, 57, 225}, {3, 57, 175}}, 53},
}

// group is a run of blocks of the same degrees.
type group struct{ core, ext, first, count int }

// profile is a table row, or a mixture of two, in whole blocks.
type profile struct {
	blocks []group // in rising order of first
	leaves int     // the last blocks
	edges  int
	thin   int // rows of the core, the first, that get 3 edges for 7 of the others
}

// plan fits the table to cols blocks and rows full rows of a code of m/n.
func plan(cols, rows, n, m int) profile {
	d := mix(m, n)
	leaves := min(d.leaves*cols/10000, rows-1)
	if d.leaves > 0 { // keep the core's checks, whatever rounding did to the rows
		core := max(2, (m*10000/n-d.leaves)*cols/10000)
		leaves = max(0, min(cols-cols/50, rows-core))
	}
	p := profile{leaves: leaves, edges: leaves}
	p.thin = (rows - leaves) * d.thin / 100
	inner, total := cols-leaves, 0
	for _, s := range d.shares {
		total += s.part
	}
	sum, at := 0, 0
	for _, s := range d.shares {
		sum += s.part
		to := sum * inner / total
		p.blocks = append(p.blocks, group{s.core, s.ext, at, to - at})
		p.edges += (to - at) * (s.core + s.ext)
		at = to
	}
	return p
}

// mix interpolates the table at m/n, in integers so that all machines agree.
func mix(m, n int) degrees {
	rate := m * 10000 / n
	hi := 0
	for hi < len(table)-1 && table[hi].rate < rate {
		hi++
	}
	b := table[hi]
	if hi == 0 || rate >= b.rate {
		return b
	}
	a := table[hi-1]
	wb := rate - a.rate
	wa := b.rate - rate
	d := degrees{rate: rate, leaves: (a.leaves*wa + b.leaves*wb) / (wa + wb), thin: b.thin * wb / (wa + wb)}
	for _, s := range a.shares {
		d.add(share{s.core, s.ext, s.part * wa})
	}
	for _, s := range b.shares {
		d.add(share{s.core, s.ext, s.part * wb})
	}
	slices.SortFunc(d.shares, func(x, y share) int {
		return cmp.Or(cmp.Compare(x.core+x.ext, y.core+y.ext), cmp.Compare(x.core, y.core))
	})
	return d
}

// add joins a share to the one of the same degrees, if there is one.
func (d *degrees) add(s share) {
	for i, o := range d.shares {
		if o.core == s.core && o.ext == s.ext {
			d.shares[i].part += s.part
			return
		}
	}
	d.shares = append(d.shares, s)
}
