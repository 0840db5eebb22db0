// Package sim runs a whole network in one process, from one seed, in virtual
// time: the controller that real nodes use, and nodes whose key is counted to
// the byte. A network of a thousand nodes lives a week in a minute or two.
//
// What is real: the network file, the controller (package control/manage) with
// its routes and rates, the lanes, marks and positions of the key ledger, the
// form of the relay, and the order in which issued and fetched keys are marked.
// What is counted instead of done: quantum physics (a link makes key at its rate
// while it is up), tags and XORs (each stretch of key is a 64-bit name), disks
// and sockets. Real processes under kill -9 are package sim/crash.
package sim

import (
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Config describes a run. Network, Pairs and Control are needed.
type Config struct {
	Network *topology.Network
	Pairs   []Pair
	Days    float64
	Seed    uint64
	// Control makes a controller with the given fencing epoch, as at its start and
	// whenever one takes over.
	Control func(epoch uint64) control.Controller

	Faults   Faults
	Progress func(done, total time.Duration) // virtual time; may be nil
}

// Pair is two applications that share key, drawn by the master.
type Pair struct {
	Master, Slave qsc.AppID
	From, To      qsc.NodeID
	Protection    keymgmt.Protection
	KeysPerDay    float64 // of 256 bits, on average; the hour of the day shapes it
	Batch         int     // keys in one request
	Priority      int
}

// Faults are mean times between failures and to repair. A zero turns one off.
type Faults struct {
	LinkEvery, LinkFor time.Duration // of each link
	NodeEvery, NodeFor time.Duration // a crash of each node
	Controller         time.Duration // death of the controller; another takes over
	Takeover           time.Duration
}

// DefaultFaults is a bad but not absurd network: each fibre cut about once a
// month, each node down once in two, a controller lost every other day.
func DefaultFaults() Faults {
	const day = 24 * time.Hour
	return Faults{
		LinkEvery: 30 * day, LinkFor: 4 * time.Hour, NodeEvery: 60 * day, NodeFor: 20 * time.Minute,
		Controller: 2 * day, Takeover: 10 * time.Second,
	}
}

// Report is what a run has shown. Amounts of key are in bytes.
type Report struct {
	Network string  `json:"network"`
	Nodes   int     `json:"nodes"`
	Links   int     `json:"links"`
	Apps    int     `json:"apps"`
	Pairs   int     `json:"pairs"`
	Days    float64 `json:"days"`
	Seed    uint64  `json:"seed"`

	Requests  int64       `json:"requests"`
	Refused   int64       `json:"refused"` // no key within the patience of a client
	Issued    int64       `json:"keys_issued"`
	Fetched   int64       `json:"keys_fetched"`
	Expired   int64       `json:"keys_expired"`
	Delivered qsc.BitRate `json:"delivered_bit_s"` // mean over the run, all pairs together
	AtOnce    float64     `json:"served_at_once"`  // share of requests
	Wait50    float64     `json:"wait_p50_s"`
	Wait99    float64     `json:"wait_p99_s"`
	WaitMax   float64     `json:"wait_max_s"`

	Produced  int64   `json:"link_key_produced"`
	Used      int64   `json:"link_key_used"`
	Burnt     int64   `json:"link_key_burnt"`
	Left      int64   `json:"link_key_left"`
	KeysBurnt int64   `json:"keys_burnt"` // relayed and never issued or fetched
	BurntPart float64 `json:"burnt_part"` // of the link key used

	Rounds    int64   `json:"relay_rounds"`
	Failed    int64   `json:"relay_rounds_failed"`
	LostPaths int64   `json:"relay_paths_lost"`
	Hops      float64 `json:"mean_hops"`
	Disjoint  float64 `json:"disjoint_part"` // rounds over fully disjoint paths

	Cuts      int64   `json:"link_cuts"`
	Crashes   int64   `json:"node_crashes"`
	Takeovers int64   `json:"controller_takeovers"`
	Reroutes  int64   `json:"reroutes"` // flows that were given other paths
	Reroute99 float64 `json:"reroute_p99_s"`

	Violations int64    `json:"violations"` // must be 0
	Examples   []string `json:"violation_examples,omitempty"`

	Seconds float64 `json:"wall_seconds"`
	Memory  uint64  `json:"memory_bytes"`
}
