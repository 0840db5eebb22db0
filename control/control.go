// Package control is the door of the control layer (QKDN controller of ITU-T
// Y.3800, Y.3804): the words in which nodes report what they have and a
// controller tells them which routes to use.
//
// A controller holds no key and sees none. All it knows can be computed again
// from what the nodes report; a node goes on with the table it has when the
// controller is gone. Rooms: topology (the network description), route (paths),
// rate (shares of rate), manage (the controller, the nodes' agent, their bus and
// store).
package control

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// LinkState is one end's view of its link.
type LinkState struct {
	Link  qsc.LinkID  `json:"link"`
	Up    bool        `json:"up"`
	Send  int64       `json:"send"` // bytes of key left to send with
	Recv  int64       `json:"recv"`
	Size  int64       `json:"size"` // bytes that fit, each direction
	Rate  qsc.BitRate `json:"rate"` // secret key rate, both directions together; 0: finite stock
	QBER  float64     `json:"qber,omitempty"`
	Kind  string      `json:"kind"`
	Class qsc.Class   `json:"class"`
	// Halted: the link distils key, but none now, and nobody knows when it will again: an
	// eavesdropper, a fault. A vendor's device that has no key at the moment is not
	// halted, since one that is drawn empty says so all the time.
	Halted bool `json:"halted,omitempty"`
}

// Demand is what one node wants to share with another: the sum over the pairs
// of applications that they serve and that need the same protection.
type Demand struct {
	From       qsc.NodeID         `json:"from"`
	To         qsc.NodeID         `json:"to"`
	Protection keymgmt.Protection `json:"protection"`
	Min        qsc.BitRate        `json:"min"`      // guaranteed, of delivered key
	Max        qsc.BitRate        `json:"max"`      // 0: as much as there is
	Priority   int                `json:"priority"` // larger goes first
	TTL        time.Duration      `json:"ttl"`      // of unfetched key; 0: default
}

// Report is what a node tells the controller, about once a second and at once
// when a link goes down. It carries no key, no position and no consent.
type Report struct {
	Node    qsc.NodeID  `json:"node"`
	Boot    uint64      `json:"boot"` // of the node's process; rises
	Seq     uint64      `json:"seq"`  // rises within a boot
	Links   []LinkState `json:"links"`
	Demands []Demand    `json:"demands"` // from this node
	Epoch   uint64      `json:"epoch"`   // of the table it uses; 0: its own
	Version uint64      `json:"version"` // of that table: the acknowledgement of a push
}

// Flow is the controller's answer to one Demand.
type Flow struct {
	To         qsc.NodeID         `json:"to"`
	Protection keymgmt.Protection `json:"protection"`
	Paths      []keymgmt.Path     `json:"paths"`
	Disjoint   bool               `json:"disjoint"`
	Rate       qsc.BitRate        `json:"rate"`  // of delivered key, max-min fair
	Short      bool               `json:"short"` // less than the demand's minimum: the links do not have it
}

// Table is all that one node is told. Epoch fences: it rises with every leader
// and a node refuses a table of a lower one; Version rises within an epoch. A
// table of version 0 holds no flows and changes nothing: a new leader of that
// epoch asks for a report.
type Table struct {
	Node    qsc.NodeID `json:"node"`
	Epoch   uint64     `json:"epoch"`
	Version uint64     `json:"version"`
	Flows   []Flow     `json:"flows"`
}

// VirtualID names a virtual link: the qkdl_id of ETSI GS QKD 015.
type VirtualID [16]byte

// Hop is what an operator says at one node of a virtual link: the VIRT entry of
// ETSI GS QKD 015. The entries of one Link together spell one path, which the
// controller then uses for key between its ends.
type Hop struct {
	Link      VirtualID
	Node      qsc.NodeID   // where this is said
	From, To  qsc.NodeID   // the ends of the virtual link
	Prev      qsc.NodeID   // the node before on the path; "" at From
	Next      []qsc.NodeID // the rest of the path in order, or only the next node of it; none at To
	Bandwidth qsc.BitRate  // of delivered key to be guaranteed; 0: none
	Off       bool         // kept, not used
}

// Controller computes tables from reports. It is one deterministic state: the
// same reports in the same order give the same tables.
type Controller interface {
	// Report takes what a node says. Older than what is known: ignored. Invalid
	// for unknown nodes or links.
	Report(r Report) error
	// Tables computes what has changed since the last call and returns the tables
	// of the nodes concerned. now is any monotonic time; reports older than the
	// controller's patience count as a node that is down.
	Tables(now time.Duration) []Table
}

// Bus carries reports and tables. Only what can be computed again travels on it.
type Bus interface {
	Report(ctx context.Context, r Report) error
	// Tables calls take for every table pushed to node until ctx ends.
	Tables(ctx context.Context, node qsc.NodeID, take func(Table)) error
}

// NodeView is what a controller knows of one node.
type NodeView struct {
	Node  qsc.NodeID
	Heard bool // it has reported lately
	Links []LinkView
	Flows []Flow // that it was told
	Apps  []AppView
}

// LinkView is a link as seen from one of its ends.
type LinkView struct {
	Link     qsc.LinkID
	Number   int        // of the link at this node, from 0
	Peer     qsc.NodeID // the other end
	Far      int        // Number at the other end
	Kind     string
	Distance float64   // km; 0: not known
	First    bool      // this node is the first end of the network description
	State    LinkState // this end's last word
	Up       bool      // by all that is known
	Taken    qsc.BitRate
	Free     qsc.BitRate
}

// AppView is a pair of applications whose master is served by the node.
type AppView struct {
	Master, Slave qsc.AppID
	Peer          qsc.NodeID // that serves the slave
	Policy        keymgmt.Policy
}

// HopView is an entry of a virtual link and what became of it.
type HopView struct {
	Hop
	Active bool   // its path is used for key between its ends
	Fault  string // why its entries spell no path; "" and not Active: set aside, a part of it is down
}

// EventKind says what an event is about.
type EventKind string

// The kinds of event.
const (
	EventNodeUp     EventKind = "node-up"
	EventNodeDown   EventKind = "node-down"
	EventLinkUp     EventKind = "link-up"
	EventLinkDown   EventKind = "link-down"
	EventShort      EventKind = "short"       // a guaranteed minimum cannot be met
	EventEnough     EventKind = "enough"      // it can again
	EventAppNew     EventKind = "app-new"     // a pair of applications was allowed
	EventAppChanged EventKind = "app-changed" // its policy is another one
	EventAppGone    EventKind = "app-gone"
)

// Event is something that an operator may want to know.
type Event struct {
	Seq  uint64 // rises by one
	At   time.Time
	Kind EventKind
	Node qsc.NodeID
	Peer qsc.NodeID // the other end of the link or flow
	Link qsc.LinkID
	App  [2]qsc.AppID // master and slave
}

// Northbound is what an operator's door sees of a controller.
type Northbound interface {
	// Nodes lists the nodes of the network description.
	Nodes() []qsc.NodeID
	// Node returns what is known of a node. Errors: NotFound; Busy when another
	// controller leads.
	Node(ctx context.Context, id qsc.NodeID) (NodeView, error)
	// Hops lists the entries of virtual links at a node. Errors as Node.
	Hops(ctx context.Context, node qsc.NodeID) ([]HopView, error)
	// PutHop stores or replaces an entry. It is durable when PutHop returns.
	// Errors: Invalid for an entry that no path can be made with.
	PutHop(ctx context.Context, h Hop) error
	// DropHop removes an entry. Errors: NotFound.
	DropHop(ctx context.Context, link VirtualID, node qsc.NodeID) error
	// Events returns the events after Seq after, or waits for the next one until
	// ctx ends. Old ones are forgotten: a gap in Seq shows. Errors: Timeout.
	Events(ctx context.Context, after uint64) ([]Event, error)
}
