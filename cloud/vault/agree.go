package vault

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
)

// maxTries bounds the choices of k shares that are tried for one chunk.
const maxTries = 10_000

// agree checks k pieces whose masks the catalogue has lost: the masks are shared
// in the pieces themselves. If the k do not agree, every other site is asked
// too, and the k that do agree convict the rest. (A set that agrees is genuine
// up to the tag's forgery bound: a false piece shifts the masks, and its tags
// then fail.)
func (g *getting) agree(ctx context.Context, c uint32, got []*fetched) ([]*fetched, []byte, error) {
	if masks := g.try(c, got); masks != nil {
		return got, masks, nil
	}
	for len(g.spare) > 0 {
		f := g.v.fetch(ctx, &g.rec, g.spare[0], c, g.last)
		g.spare = g.spare[1:]
		x := f.next(ctx, g.v)
		if x.err != nil {
			f.close()
			g.fault(f.pl.Site, c, x.err)
			continue
		}
		g.active = append(g.active, f)
		got = append(got, x)
	}
	var good []*fetched
	var masks []byte
	tries := 0
	subsets(len(got), g.rec.K, func(pick []int) bool {
		if tries++; tries > maxTries {
			return false
		}
		set := make([]*fetched, len(pick))
		for i, j := range pick {
			set[i] = got[j]
		}
		masks = g.try(c, set)
		good = set
		return masks == nil
	})
	if masks == nil {
		return nil, nil, qsc.E("vault.Get", qsc.Tampered, "", "chunk %d: no %d of the %d shares that can be reached agree, and without the catalogue's masks the false one cannot be named: bring another site back", c, g.rec.K, len(got))
	}
	g.convict(c, got, good, masks)
	return good, masks, nil
}

// try returns the masks that the pieces of a set hold, if all its tags fit.
func (g *getting) try(c uint32, set []*fetched) []byte {
	masks, err := g.opener.Masks(bytesOf(set))
	if err != nil {
		return nil
	}
	for _, x := range set {
		if g.opener.Check(c, x.from.pl.Point, x.piece, masks) != nil {
			return nil
		}
	}
	return masks
}

// convict drops the sites whose piece fails its tag, and keeps those of the
// good set in front, so that later chunks come from them.
func (g *getting) convict(c uint32, got, good []*fetched, masks []byte) {
	keep := map[*fetching]bool{}
	var front []*fetching
	for _, x := range good {
		keep[x.from] = true
		front = append(front, x.from)
	}
	for _, x := range got {
		if keep[x.from] {
			continue
		}
		x.from.close()
		if err := g.opener.Check(c, x.from.pl.Point, x.piece, masks); err != nil {
			g.fault(x.from.pl.Site, c, err)
			continue
		}
		g.spare = append(g.spare, x.from.pl)
	}
	g.active = front
}

// subsets calls try with every choice of k of n indices until it returns false.
func subsets(n, k int, try func([]int) bool) {
	pick := make([]int, k)
	var walk func(at, from int) bool
	walk = func(at, from int) bool {
		if at == k {
			return try(pick)
		}
		for i := from; i <= n-(k-at); i++ {
			pick[at] = i
			if !walk(at+1, i+1) {
				return false
			}
		}
		return true
	}
	if k <= n {
		walk(0, 0)
	}
}
