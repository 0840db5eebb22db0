// Package topology reads the network description: one human-written TOML file
// that names sites, trusted nodes, links, the share policies and the directory
// of each node. The same file plans, emulates and runs a network.
//
// Parse resolves every default and lists every fault at once, each with its
// line. The package opens no network, creates no directory and holds no live
// state: what a link holds or whether a node answers is asked elsewhere. It
// finds no paths either; that is routing.
package topology

import qsc "github.com/quantum-secure-cloud/qsc"

// Network is a whole description with all defaults resolved. A Network that
// Parse returned may be read by many goroutines. Its addresses and titles may
// be changed in place by its only owner; its ids may not, because the lookups
// rest on them. A Network made by hand is searched without an index.
type Network struct {
	Name     string // id syntax
	Title    string // one line for people, may be empty
	Sites    []Site
	Nodes    []Node
	Links    []Link
	Presets  []Preset
	Policies []Policy

	idx *index
}

// Site is a place and a failure domain. It holds at most one share of an
// object.
type Site struct {
	ID       qsc.SiteID
	Title    string
	Group    string // a coarser failure domain in id syntax, "" for none
	Location Location
}

// Location is a point on the globe in decimal degrees, north and east
// positive. Known is false when the file gives none.
type Location struct {
	Lat, Lon float64
	Known    bool
}

// Node is a trusted node: one process with one directory.
type Node struct {
	ID      qsc.NodeID
	Site    qsc.SiteID
	Listen  string // host:port for its peers; "" when still to be picked
	Data    string // slash-separated path below the network's data directory
	Metrics string // host:port of metrics and health, "" for none
}

// Link joins two nodes that share key.
type Link struct {
	ID       qsc.LinkID
	Kind     string // a name that Kinds lists
	Ends     [2]qsc.NodeID
	Distance float64     // km; 0 when not given
	Loss     float64     // dB from end to end without the detectors; 0 when not given
	Preset   string      // the device pair: a [[preset]] of the file or one that comes with the program; "" when not given
	Rate     qsc.BitRate // secret key rate; 0 for couriered key, and where it follows from the device
	Pad      int64       // bytes kept in each direction at each end, a multiple of Block
	Block    int64       // bytes of a key block, a power of two
}

// Other returns the end of l that is not id, and "" when id is neither end.
func (l Link) Other(id qsc.NodeID) qsc.NodeID {
	switch id {
	case l.Ends[0]:
		return l.Ends[1]
	case l.Ends[1]:
		return l.Ends[0]
	}
	return ""
}

// Preset is a device pair of the network's own: one that comes with the program,
// with some parameters changed. What they mean is package quantum/preset's to
// know.
type Preset struct {
	ID     string
	Base   string
	Params map[string]any // float64, bool or string, by the parameter's name
}

// Policy says how an object is shared: any K of N shares restore it, a put is
// acknowledged once W of them are durable, 2 <= K <= W <= N <= 255.
type Policy struct {
	ID         string
	Scheme     string // SchemeShamir
	K, N, W    int
	Home       qsc.NodeID   // the node that takes files by default
	Sites      []qsc.SiteID // at least N candidates, in order of preference
	Chunk      int64        // bytes of secret in one chunk, a multiple of ChunkMin
	Randomness string       // RandomOS or RandomPool
}

// The words of a policy.
const (
	SchemeShamir = "shamir" // Shamir over GF(2^8)
	RandomOS     = "os"     // coefficients from the operating system's generator, shown as os-random
	RandomPool   = "pool"   // coefficients from a file of physical random bytes, counts as its
)

// Defaults of keys that the file leaves out.
const (
	DefaultPad   int64 = 64 << 20
	DefaultBlock int64 = 1 << 20
	DefaultChunk int64 = 1 << 20
)

// Limits on what a description may hold.
const (
	MaxFile  = 32 << 20 // bytes; Marshal writes MaxLinks links in some 20 MB
	MaxNodes = 10_000
	MaxSites = 10_000
	MaxLinks = 100_000

	MaxPolicies = 1_000
	MaxPresets  = 1_000
	MaxShares   = 255 // N

	BlockMin int64 = 4 << 10
	BlockMax int64 = 16 << 20
	PadMax   int64 = 16 << 40
	ChunkMin int64 = 4 << 10
	ChunkMax int64 = 4 << 20

	MaxRate     qsc.BitRate = 1e15 // bit/s
	MaxDistance float64     = 1e6  // km
	MaxLoss     float64     = 1000 // dB
)
