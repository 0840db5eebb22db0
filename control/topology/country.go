package topology

import (
	"fmt"
	"math"
)

// A country is a square grid of trunk nodes some 70 km of fibre apart, an even
// number on a side, a tenth of all nodes. Its corners have a diagonal, so every
// trunk node has three neighbours on the trunk at least. A few express links
// skip a node. The grid is cut into cells of two by two trunk nodes; a metro
// network lies in each, joined to all four.
const (
	trunkSpacing = 55.0 // km as the crow flies
	trunkJitter  = 12.0 // km either way
)

func (g *generator) country() {
	side := max(2, 2*int(math.Round(math.Sqrt(float64(g.Nodes)/10)/2)))
	places := make([]point, side*side)
	width := digits(side*side - 1)
	for i := range places {
		r, c := float64(i/side), float64(i%side)
		places[i] = point{c*trunkSpacing + g.random.spread(trunkJitter), r*trunkSpacing + g.random.spread(trunkJitter)}
		g.add(fmt.Sprintf("trunk%0*d", width, i), GroupTrunk, places[i])
	}
	g.trunk(side)
	g.express(side)
	cells := side / 2
	rest := g.Nodes - side*side
	for i := range cells * cells {
		size := rest / (cells * cells)
		if i < rest%(cells*cells) {
			size++
		}
		first := i/cells*2*side + i%cells*2
		corners := []int{first + side + 1, first + side, first, first + 1} // by angle: NE, NW, SW, SE
		var middle point
		for _, v := range corners {
			middle.x += places[v].x / 4
			middle.y += places[v].y / 4
		}
		g.metro(i, cells*cells, size, middle, corners)
	}
}

// trunk joins the grid. The trunk nodes are the first side×side of the network.
func (g *generator) trunk(side int) {
	for i := range side * side {
		if i%side+1 < side {
			g.join(i, i+1)
		}
		if i+side < side*side {
			g.join(i, i+side)
		}
	}
	last := side - 1
	g.join(0, side+1)
	g.join(last, side+last-1)
	g.join(last*side, (last-1)*side+1)
	g.join(last*side+last, (last-1)*side+last-1)
}

// express joins a trunk node in each row to the next but one.
func (g *generator) express(side int) {
	if side < 4 {
		return
	}
	for row := range side {
		at := row*side + g.random.below(side-2)
		g.join(at, at+2)
	}
}

// A metro network is a double ring of metro nodes, each joined to its twin on
// the other ring: three neighbours. One node in six is a user's own, at two
// neighbours on the outer ring. The corners are joined to nodes a quarter of the
// outer ring apart.
const (
	innerRadius = 8.0 // km
	outerRadius = 12.0
	accessOut   = 3.0 // km beyond the outer ring
)

func (g *generator) metro(number, of, size int, middle point, corners []int) {
	access := size / 6
	access += (size - access) % 2
	k := (size - access) / 2
	group := fmt.Sprintf("metro%0*d", digits(of-1), number)
	width := digits(size - 1)
	outer, inner := make([]int, k), make([]int, k)
	for j := range k {
		outer[j] = g.add(fmt.Sprintf("%s-%0*d", group, width, 2*j), group, around(middle, outerRadius+g.random.spread(2), j, k))
		inner[j] = g.add(fmt.Sprintf("%s-%0*d", group, width, 2*j+1), group, around(middle, innerRadius+g.random.spread(1), j, k))
	}
	for j := range k {
		g.join(outer[j], outer[(j+1)%k])
		g.join(inner[j], inner[(j+1)%k])
		g.join(outer[j], inner[j])
	}
	for q := range min(len(corners), k) {
		g.join(outer[q*k/4], corners[q])
	}
	for i := range access {
		j := i * k / access
		v := g.add(fmt.Sprintf("%s-%0*d", group, width, 2*k+i), group, around(middle, outerRadius+accessOut+g.random.spread(2), 2*j+1, 2*k))
		g.join(v, outer[j])
		g.join(v, outer[(j+1)%k])
	}
	if number == 0 {
		g.storage = [4]int{outer[0], inner[0], outer[1], outer[k-1]}
	}
}

// around returns the place j of k on a circle, from the north-east on.
func around(middle point, radius float64, j, k int) point {
	sin, cos := math.Sincos(math.Pi/4 + 2*math.Pi*float64(j)/float64(k))
	return point{middle.x + radius*cos, middle.y + radius*sin}
}

// digits returns how many digits the largest number needs.
func digits(largest int) int { return len(fmt.Sprint(largest)) }
