package coding

import (
	"cmp"
	"container/heap"
	"math"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

// graph is a network with its nodes numbered, and the shortest paths from the
// members.
type graph struct {
	links   []Link
	ends    [][2]int
	names   []qsc.NodeID
	numbers map[qsc.NodeID]int
	around  [][]int // links of each node
	members []int
	dist    [][]float64 // from member i to each node
	back    [][]int     // the last link of that path; -1 at the member itself
}

// number gives the nodes of a network their numbers.
func number(links []Link) (*graph, error) {
	g := &graph{links: links, numbers: map[qsc.NodeID]int{}}
	for i, l := range links {
		if !(l.Cost > 0) || math.IsInf(l.Cost, 1) || l.Ends[0] == l.Ends[1] {
			return nil, qsc.E("coding.Group", qsc.Invalid, "", "link %d has cost %v and ends %q and %q: two ends and a cost above 0 are needed", i, l.Cost, l.Ends[0], l.Ends[1])
		}
		a, b := g.node(l.Ends[0]), g.node(l.Ends[1])
		g.ends = append(g.ends, [2]int{a, b})
		g.around[a], g.around[b] = append(g.around[a], i), append(g.around[b], i)
	}
	return g, nil
}

// node returns a node's number; a new node stands alone.
func (g *graph) node(n qsc.NodeID) int {
	i, ok := g.numbers[n]
	if !ok {
		i = len(g.names)
		g.numbers[n] = i
		g.names, g.around = append(g.names, n), append(g.around, nil)
	}
	return i
}

func newGraph(links []Link, members []qsc.NodeID) (*graph, error) {
	g, err := number(links)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		v := g.node(m)
		if slices.Contains(g.members, v) {
			return nil, qsc.E("coding.Group", qsc.Invalid, string(m), "the member is named twice")
		}
		g.members = append(g.members, v)
	}
	if len(members) < 2 {
		return nil, qsc.E("coding.Group", qsc.Invalid, "", "%d members: a group has at least two", len(members))
	}
	for _, m := range g.members {
		dist, back := g.shortest(m)
		g.dist, g.back = append(g.dist, dist), append(g.back, back)
	}
	return g, nil
}

func (g *graph) other(link, v int) int { return g.ends[link][0] + g.ends[link][1] - v }

// steiner joins the members: the spanning tree over their distances, drawn with
// the paths behind it, made a tree again and cut back to the members.
func (g *graph) steiner() ([]int, error) {
	_, joins := g.closure()
	if len(joins) < len(g.members)-1 {
		return nil, qsc.E("coding.Group", qsc.NotFound, "", "no path joins all %d members", len(g.members))
	}
	var union []int
	for _, j := range joins {
		for v := g.members[j.to]; g.back[j.from][v] >= 0; {
			l := g.back[j.from][v]
			union = append(union, l)
			v = g.other(l, v)
		}
	}
	slices.Sort(union)
	return g.prune(g.spanning(slices.Compact(union))), nil
}

// join is a path of the closure, between two members by their places.
type join struct{ from, to int }

// closure returns the spanning tree of the members under their distances (Prim)
// and its length.
func (g *graph) closure() (length float64, joins []join) {
	type reach struct {
		by   int
		dist float64
		in   bool
	}
	best := make([]reach, len(g.members))
	for i, m := range g.members {
		best[i] = reach{0, g.dist[0][m], i == 0}
	}
	for range len(g.members) - 1 {
		next := -1
		for i := range best {
			if !best[i].in && !math.IsInf(best[i].dist, 1) && (next < 0 || best[i].dist < best[next].dist) {
				next = i
			}
		}
		if next < 0 {
			return math.Inf(1), joins
		}
		best[next].in = true
		length += best[next].dist
		joins = append(joins, join{best[next].by, next})
		for i, m := range g.members {
			if d := g.dist[next][m]; !best[i].in && d < best[i].dist {
				best[i].by, best[i].dist = next, d
			}
		}
	}
	return length, joins
}

// spanning returns a cheapest spanning forest of some links (Kruskal).
func (g *graph) spanning(links []int) (tree []int) {
	slices.SortStableFunc(links, func(a, b int) int { return cmp.Compare(g.links[a].Cost, g.links[b].Cost) })
	root := make([]int, len(g.names))
	for i := range root {
		root[i] = i
	}
	find := func(v int) int {
		for root[v] != v {
			root[v] = root[root[v]]
			v = root[v]
		}
		return v
	}
	for _, l := range links {
		a, b := find(g.ends[l][0]), find(g.ends[l][1])
		if a != b {
			root[a] = b
			tree = append(tree, l)
		}
	}
	return tree
}

// prune cuts leaves that are no members until there is none.
func (g *graph) prune(tree []int) []int {
	degree := make([]int, len(g.names))
	for _, l := range tree {
		degree[g.ends[l][0]]++
		degree[g.ends[l][1]]++
	}
	for cut := true; cut; {
		cut = false
		tree = slices.DeleteFunc(tree, func(l int) bool {
			for _, v := range g.ends[l] {
				if degree[v] == 1 && !slices.Contains(g.members, v) {
					degree[g.ends[l][0]]--
					degree[g.ends[l][1]]--
					cut = true
					return true
				}
			}
			return false
		})
	}
	return tree
}

// shortest returns the distance of every node from one, and the last link of its
// path (Dijkstra).
func (g *graph) shortest(from int) (dist []float64, back []int) {
	dist, back = make([]float64, len(g.names)), make([]int, len(g.names))
	for i := range dist {
		dist[i], back[i] = math.Inf(1), -1
	}
	dist[from] = 0
	q := &queue{{from, 0}}
	for q.Len() > 0 {
		s := heap.Pop(q).(spot)
		if s.dist > dist[s.node] {
			continue
		}
		for _, l := range g.around[s.node] {
			v, d := g.other(l, s.node), s.dist+g.links[l].Cost
			if d < dist[v] {
				dist[v], back[v] = d, l
				heap.Push(q, spot{v, d})
			}
		}
	}
	return dist, back
}

type spot struct {
	node int
	dist float64
}

// queue implements heap.Interface.
type queue []spot

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].dist < q[j].dist || q[i].dist == q[j].dist && q[i].node < q[j].node
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *queue) Push(x any) { *q = append(*q, x.(spot)) }

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
