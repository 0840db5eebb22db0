package topology

import (
	"fmt"
	"strconv"
	"strings"

	qsc "github.com/quantum-secure-cloud/qsc"
)

// The shapes of generated networks.
const (
	ShapeBackbone = "backbone" // a country: a trunk mesh with a metro network in every fourth of its cells
	ShapeMetro    = "metro"    // one city: a double ring with users' nodes at it
)

// Bounds on what Generate makes, in nodes.
const (
	MinGenerated = 12
	MaxGenerated = MaxNodes
)

// largestRun is the size up to which a generated network's links are simulated,
// so that one machine can run it. Larger ones name physical kinds, to be planned
// and simulated as a whole.
const largestRun = 256

// GroupTrunk is the group of the sites of a generated backbone: relays without
// users. A metro network's sites have its own group.
const GroupTrunk = "trunk"

// GenerateConfig says what network to make. The same configuration makes the
// same network on every machine.
type GenerateConfig struct {
	Name      string // "": the shape, '-' and the number of nodes
	Nodes     int    // MinGenerated to MaxGenerated
	Seed      uint64 // moves places, and with them distances and rates, and the express links
	Shape     string // "": ShapeBackbone
	Simulated bool   // all links simulated, with small rings, so that one machine can run all nodes
}

// Generate makes a network. Every node has at least two neighbours; all but the
// users' own nodes, one in six, have three and three disjoint paths to each
// other. Errors: Invalid.
func Generate(c GenerateConfig) (*Network, error) {
	if c.Shape == "" {
		c.Shape = ShapeBackbone
	}
	if c.Name == "" {
		c.Name = c.Shape + "-" + strconv.Itoa(c.Nodes)
	}
	switch {
	case c.Shape != ShapeBackbone && c.Shape != ShapeMetro:
		return nil, generateError(c, "shape %s is not %s or %s", quote(c.Shape), ShapeBackbone, ShapeMetro)
	case c.Nodes < MinGenerated || c.Nodes > MaxGenerated:
		return nil, generateError(c, "%d nodes asked for; from %d to %d can be", c.Nodes, MinGenerated, MaxGenerated)
	case !isID(c.Name):
		return nil, generateError(c, "the name %s is not an id: 1 to 63 of a-z, 0-9 and '-', not beginning with '-'", quote(c.Name))
	}
	g := &generator{GenerateConfig: c, random: sequence(c.Seed), net: &Network{Name: c.Name}, joined: map[[2]int]bool{}}
	if c.Shape == ShapeMetro {
		g.net.Title = fmt.Sprintf("Generated metro network, %d nodes", c.Nodes)
		g.metro(0, 1, c.Nodes, point{}, nil)
	} else {
		g.net.Title = fmt.Sprintf("Generated national backbone, %d nodes", c.Nodes)
		g.country()
	}
	g.net.Policies = []Policy{g.policy()}
	g.net.idx = newIndex(g.net)
	return g.net, nil
}

func generateError(c GenerateConfig, format string, args ...any) error {
	return qsc.E("topology.Generate", qsc.Invalid, c.Name, format, args...)
}

// generated makes the network that a name such as "backbone-1000" stands for.
func generated(name string) (*Network, bool) {
	shape, size, ok := strings.Cut(name, "-")
	nodes, err := strconv.Atoi(size)
	if !ok || err != nil || strconv.Itoa(nodes) != size || shape != ShapeBackbone && shape != ShapeMetro {
		return nil, false
	}
	n, err := Generate(GenerateConfig{Nodes: nodes, Shape: shape, Simulated: nodes <= largestRun})
	return n, err == nil
}

// generator is a network in the making.
type generator struct {
	GenerateConfig
	random  sequence
	net     *Network
	joined  map[[2]int]bool
	storage [4]int // the home of the policy and the nodes of its sites
}

// point is a place in km east and north of the network's south-west corner.
type point struct{ x, y float64 }

// The corner, and km per degree there; the country is small enough to be flat.
const (
	cornerLat = 43.0
	cornerLon = 1.0
	kmPerLat  = 111.2
	kmPerLon  = 77.9
)

// add places a node with a site of its own and returns its number.
func (g *generator) add(id, group string, at point) int {
	where := Location{Lat: cornerLat + decimals(at.y/kmPerLat, 4), Lon: cornerLon + decimals(at.x/kmPerLon, 4), Known: true}
	where.Lat, where.Lon = decimals(where.Lat, 4), decimals(where.Lon, 4)
	g.net.Sites = append(g.net.Sites, Site{ID: qsc.SiteID(id), Group: group, Location: where})
	g.net.Nodes = append(g.net.Nodes, Node{ID: qsc.NodeID(id), Site: qsc.SiteID(id), Data: id})
	return len(g.net.Nodes) - 1
}

// join lays fibre between two nodes, unless they are joined already.
func (g *generator) join(a, b int) {
	if a == b || g.joined[[2]int{min(a, b), max(a, b)}] {
		return
	}
	g.joined[[2]int{min(a, b), max(a, b)}] = true
	ends := [2]qsc.NodeID{g.net.Nodes[a].ID, g.net.Nodes[b].ID}
	km := fibre(g.net.Sites[a].Location, g.net.Sites[b].Location)
	kind, rate := fibreLink(km)
	l := Link{ID: qsc.LinkID(ends[0] + "-" + ends[1]), Kind: kind, Ends: ends, Distance: km, Rate: rate, Pad: DefaultPad, Block: DefaultBlock}
	if g.Simulated {
		l.Kind, l.Rate, l.Pad, l.Block = KindSimulated, min(rate, simulatedMost), 1<<20, 64<<10
	}
	g.net.Links = append(g.net.Links, l)
}

// policy stores at the first city's first node and its three neighbours.
func (g *generator) policy() Policy {
	p := Policy{ID: "default", Scheme: SchemeShamir, K: 2, N: 3, W: 3, Home: g.net.Nodes[g.storage[0]].ID, Chunk: DefaultChunk, Randomness: RandomOS}
	for _, v := range g.storage[1:] {
		p.Sites = append(p.Sites, g.net.Nodes[v].Site)
	}
	return p
}
