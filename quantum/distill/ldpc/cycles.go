package ldpc

import "slices"

// Blocks of two core edges make a graph: rows are its points, blocks its lines, and
// lifting makes z points of each row. A ring in the lifted graph meets every core
// check it touches twice, so with the leaves of its extension rows it is a word of
// low weight: the shorter the ring, the lighter the word. Where such blocks are more
// than a path can hold, lines are laid where the ring they close is longest.

// line is one way along a block of two core edges: from check j of a row to check
// j+diff of another. cost is what the block adds to a word: itself and its leaves.
type line struct{ to, diff, cost int }

// note takes a block of two core edges, and ext others, into the graph.
func (b *builder) note(col, r, o, ext int) {
	b.join(r, o, (b.shiftOf(r, col)-b.shiftOf(o, col)+b.z)%b.z, 1+ext)
}

func (b *builder) join(r, o, diff, cost int) {
	b.lines[r] = append(b.lines[r], line{o, diff, cost})
	b.lines[o] = append(b.lines[o], line{r, (b.z - diff) % b.z, cost})
}

func (b *builder) part(r, o int) {
	b.lines[r] = b.lines[r][:len(b.lines[r])-1]
	b.lines[o] = b.lines[o][:len(b.lines[o])-1]
}

// shiftOf is row r's shift in a block that it meets.
func (b *builder) shiftOf(r, col int) int {
	for _, e := range slices.Backward(b.rows[r].edges) {
		if e.col == col {
			return e.shift
		}
	}
	return 0
}

// Bounds of the search for a line. Rows that may be ends are few of the lightest, so
// that rows stay evenly filled.
const (
	among = 8   // rows
	tries = 24  // ends
	crowd = 256 // checks looked at from either end
)

// heavy is the weight of a ring beyond which none is better than another, for lines
// of a cost: what costs more is of codes for more noise.
func heavy(cost int) int { return max(80, 16*cost) }

// span joins a block to two rows of the core so that the lightest ring it closes,
// through it as often as it may pass, is as heavy as can be found.
func (b *builder) span(col, core, ext int) {
	rows := b.lightest(0, core, min(among, core))
	from, best, diff, most := rows[0], rows[1], 0, 0
	for range tries {
		o, d := rows[1+b.rng.below(len(rows)-1)], b.rng.below(b.z)
		if w := b.ring(from, o, d, 1+ext); w > most {
			best, diff, most = o, d, w
		}
	}
	s := b.rng.below(b.z)
	b.add(from, col, s)
	b.add(best, col, (s-diff+b.z)%b.z)
	b.have[col] = append(b.have[col], from, best)
	b.used[b.lag(col, from, s, best)] = true
	b.join(from, best, diff, 1+ext)
}

// ring is the weight of the lightest ring through check 0 of a row and check diff of
// another once they are joined by a line, or heavy; and where the search ends
// earlier, at least what is returned. It is looked for from both ends.
func (b *builder) ring(from, to, diff, cost int) int {
	b.join(from, to, diff, cost)
	defer b.part(from, to)
	near, r := b.around(from, 0, heavy(cost)/2)
	round, s := b.around(to, diff, heavy(cost)/2)
	least := min(heavy(cost), r+s+cost)
	for p, d := range round {
		if e, ok := near[p]; ok {
			least = min(least, d+e+cost)
		}
	}
	return least
}

// around are checks near a row's check j with their distance: all below radius,
// which is reach, or less where there are many. Dijkstra's search,
// with a list for each distance. The line laid last from that check is not used.
func (b *builder) around(row, j, reach int) (found map[int]int, radius int) {
	at := make([][]int, reach)
	start, itself := row*b.z+j, len(b.lines[row])-1
	at[0], found = []int{start}, map[int]int{}
	for ; radius < reach; radius++ {
		if len(found) > crowd {
			break
		}
		for _, p := range at[radius] {
			if _, ok := found[p]; ok {
				continue
			}
			found[p] = radius
			for k, l := range b.lines[p/b.z] {
				q := l.to*b.z + (p+l.diff)%b.z // z divides the row's first check
				if next := radius + l.cost; next < reach && (p != start || k != itself) {
					at[next] = append(at[next], q)
				}
			}
		}
	}
	return found, radius
}
