package topology

import (
	"fmt"

	qsc "github.com/quantum-secure-cloud/qsc"
)

// Application is one application (an SAE of ETSI GS QKD 014) and the node that
// serves it.
type Application struct {
	ID   qsc.AppID
	Node qsc.NodeID
}

// Pair is what two applications want of the network.
type Pair struct {
	Master, Slave int         // numbers of the applications
	Use           string      // for people: "rekey", "voice"
	Mean          qsc.BitRate // of delivered key, over a day
	Min           qsc.BitRate // guaranteed; 0: none
	Max           qsc.BitRate // the most it ever takes
	Priority      int         // larger goes first
	Paths, Need   int         // disjoint paths, and how many of them it takes to know a key
}

// MaxApplications bounds ApplicationConfig.Count.
const MaxApplications = 1_000_000

// ApplicationConfig says how many applications to place.
type ApplicationConfig struct {
	Count int // applications, 2 to MaxApplications; each is the master of one pair
	Seed  uint64
}

// usage is a kind of demand and its part of all.
type usage struct {
	percent int
	pair    Pair
}

// usages are what encryptors ask for: a new 256-bit key every minute or every
// second, as most do; a stream that is used up as a one-time pad; calls under
// one-time pad that tolerate no gap.
var usages = []usage{
	{60, Pair{Use: "rekey-minute", Mean: 4, Max: 32, Paths: 1, Need: 1}},
	{25, Pair{Use: "rekey-second", Mean: 256, Min: 64, Max: 1024, Priority: 1, Paths: 2, Need: 2}},
	{10, Pair{Use: "stream", Mean: 1000, Min: 100, Max: 10_000, Priority: 1, Paths: 3, Need: 3}},
	{5, Pair{Use: "voice", Mean: 2000, Min: 1000, Max: 8000, Priority: 2, Paths: 3, Need: 2}},
}

// Applications places applications evenly over the nodes that are not in
// GroupTrunk and pairs each with one at another node: half of them in the same
// group of sites, if there is one, the others anywhere. The same network and
// configuration give the same applications. Errors: Invalid for an impossible
// count and for a network with fewer than two nodes to place them at.
func (n *Network) Applications(c ApplicationConfig) ([]Application, []Pair, error) {
	at := n.hosts()
	if c.Count < 2 || c.Count > MaxApplications || len(at.nodes) < 2 {
		return nil, nil, qsc.E("topology.Applications", qsc.Invalid, n.Name,
			"%d applications at %d nodes: there must be 2 to %d at two nodes or more", c.Count, len(at.nodes), MaxApplications)
	}
	apps := make([]Application, c.Count)
	width := digits(c.Count - 1)
	for i := range apps {
		apps[i] = Application{qsc.AppID(fmt.Sprintf("sae-%0*d", width, i)), at.nodes[i%len(at.nodes)]}
	}
	random := sequence(c.Seed)
	pairs := make([]Pair, c.Count)
	for i := range pairs {
		pairs[i] = draw(&random)
		pairs[i].Master, pairs[i].Slave = i, at.partner(&random, i, c.Count)
	}
	return apps, pairs, nil
}

func draw(random *sequence) Pair {
	x := random.below(100)
	for _, u := range usages {
		if x < u.percent {
			return u.pair
		}
		x -= u.percent
	}
	return usages[0].pair
}

// hosts are the nodes that serve applications; application i is at node
// i mod len(nodes).
type hosts struct {
	nodes []qsc.NodeID
	group []string
	same  map[string][]int // numbers of the nodes of a group
}

func (n *Network) hosts() hosts {
	h := hosts{same: map[string][]int{}}
	x := n.index()
	for _, d := range n.Nodes {
		group := ""
		if s, ok := find(x.sites, d.Site, n.Sites); ok {
			group = s.Group
		}
		if group == GroupTrunk {
			continue
		}
		h.same[group] = append(h.same[group], len(h.nodes))
		h.nodes, h.group = append(h.nodes, d.ID), append(h.group, group)
	}
	return h
}

// partner returns an application at another node than application i's.
func (h hosts) partner(random *sequence, i, count int) int {
	home := i % len(h.nodes)
	near := h.same[h.group[home]]
	node := random.below(min(len(h.nodes), count))
	if h.group[home] != "" && len(near) > 1 && random.below(2) == 0 {
		node = near[random.below(len(near))]
	}
	if node == home || node >= count {
		node = (home + 1) % min(len(h.nodes), count)
	}
	there := (count - node + len(h.nodes) - 1) / len(h.nodes) // applications at node
	return node + random.below(there)*len(h.nodes)
}
