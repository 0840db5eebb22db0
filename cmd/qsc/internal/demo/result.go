package demo

import (
	"github.com/quantum-secure-cloud/qsc"
)

// Result is what a demo has found. All amounts are in bytes, all speeds in 10^6
// bytes of the file per second.
type Result struct {
	Network   string     `json:"network"`
	File      string     `json:"file"`
	Bytes     int64      `json:"bytes"`
	Home      qsc.NodeID `json:"home"`
	Policy    string     `json:"policy"`
	K         int        `json:"k"`
	N         int        `json:"n"`
	Class     qsc.Class  `json:"class"`
	Nodes     int        `json:"nodes"`
	Open      Open       `json:"open"`
	Put       Transfer   `json:"put"`
	Get       Transfer   `json:"get"`
	Shares    []Share    `json:"shares"`
	Killed    []Killed   `json:"killed"`
	Identical bool       `json:"identical"` // the file that came back, bit for bit
	Refusal   Refusal    `json:"refusal"`   // of the get with too few sites
	Links     []Link     `json:"links"`     // that the file took
	Balanced  bool       `json:"balanced"`  // produced = used + burnt + left at every end that still answers
	Seconds   float64    `json:"seconds"`   // in all
	Data      string     `json:"data,omitempty"`
}

// Open tells how the network came up.
type Open struct {
	Seconds float64 `json:"seconds"`
	Pad     int64   `json:"pad_bytes"` // couriered, counted once for both ends
}

// Transfer is a put or a get.
type Transfer struct {
	Bytes   int64        `json:"bytes"`
	Seconds float64      `json:"seconds"`
	MBs     float64      `json:"mb_per_s"`
	Sites   []qsc.SiteID `json:"sites"`
}

// Share is one share of the file.
type Share struct {
	Site  qsc.SiteID `json:"site"`
	Point int        `json:"point"`
	Node  qsc.NodeID `json:"node"`
	Dir   string     `json:"dir"`
	Disk  int64      `json:"disk_bytes"`
	Link  qsc.LinkID `json:"link,omitempty"` // none when it lies at home
	Pad   int64      `json:"pad_used_bytes"`
}

// Killed is a site whose node was ended with SIGKILL.
type Killed struct {
	Site qsc.SiteID `json:"site"`
	Node qsc.NodeID `json:"node"`
	PID  int        `json:"pid"`
}

// Refusal is how the restore failed, as it must, below k sites.
type Refusal struct {
	Kind    string  `json:"kind"`
	Text    string  `json:"text"`
	Seconds float64 `json:"seconds"`
}

// Link is the account of a link at the home node after the demo.
type Link struct {
	ID       qsc.LinkID `json:"id"`
	Peer     qsc.NodeID `json:"peer"`
	SendUsed int64      `json:"send_used_bytes"`
	SendLeft int64      `json:"send_left_bytes"`
	RecvUsed int64      `json:"receive_used_bytes"`
	RecvLeft int64      `json:"receive_left_bytes"`
	Burnt    int64      `json:"burnt_bytes"`
	Class    qsc.Class  `json:"class"`
}
