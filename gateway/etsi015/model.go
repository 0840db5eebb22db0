// Package etsi015 is the operator's northbound door: the model of ETSI GS QKD
// 015 V2.1.1 (2022-04) as JSON over HTTPS with mutual TLS, one qkd_node for each
// node of the network. Reading shows what the controller knows; the one verb that
// changes something is a virtual link: its entries at the nodes of a path install
// that path.
//
// It hands out no key, makes no route itself, and configures no device: PHYS
// links and interfaces are shown, not written. It is not NETCONF; the paths are
// those of RESTCONF (RFC 8040), so deployed controllers' REST drivers find them.
package etsi015

import (
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// u32 is a uint32 leaf of the model. The model's counters wrap at 4.3 Gbit/s;
// these stop at the largest number instead, which then means "or more".
func u32[T ~int | ~int64 | ~float64](v T) uint32 {
	f := float64(v)
	switch {
	case !(f > 0):
		return 0
	case f >= math.MaxUint32:
		return math.MaxUint32
	}
	return uint32(f)
}

// The names of identities are written with their module, as RFC 7951 asks; ours
// are those that the model has no word for.
const (
	types    = "etsi-qkd-node-types:"
	ownTypes = "qsc-qkd-types:"
)

// Node is qkd_node.
type Node struct {
	ID           string       `json:"qkdn_id"`
	Status       string       `json:"qkdn_status"`
	Version      string       `json:"qkdn_version"`
	Location     string       `json:"qkdn_location_id"` // the id in the network description
	Capabilities Capabilities `json:"qkdn_capabilities"`
	Applications Applications `json:"qkd_applications"`
	Interfaces   Interfaces   `json:"qkd_interfaces"`
	Links        Links        `json:"qkd_links"`
}

// Capabilities is qkdn_capabilities.
type Capabilities struct {
	LinkStats bool `json:"link_stats_support"`
	AppStats  bool `json:"application_stats_support"` // false: the controller counts no application's key
	Relay     bool `json:"key_relay_mode_enable"`
}

// Applications is qkd_applications.
type Applications struct {
	List []App `json:"qkd_app"`
}

// App is qkd_app: a pair of applications, master and slave.
type App struct {
	ID       string   `json:"app_id"`
	Status   string   `json:"app_status"`
	Type     string   `json:"app_type"`
	Server   string   `json:"server_app_id"`
	Clients  []string `json:"client_app_id"`
	Priority uint32   `json:"app_priority"`
	QoS      QoS      `json:"app_qos"`
	Backing  []string `json:"backing_qkdl_id"`
	Local    string   `json:"local_qkdn_id"`
	Remote   string   `json:"remote_qkdn_id,omitempty"`
}

// QoS is app_qos: bit/s and seconds.
type QoS struct {
	Max uint32 `json:"max_bandwidth,omitempty"`
	Min uint32 `json:"min_bandwidth"`
	TTL uint32 `json:"ttl,omitempty"`
}

// Interfaces is qkd_interfaces.
type Interfaces struct {
	List []Interface `json:"qkd_interface"`
}

// Interface is qkd_interface: this end of a link.
type Interface struct {
	ID     uint32 `json:"qkdi_id"`
	Model  string `json:"qkdi_model"`
	Type   string `json:"qkdi_type"`
	Status string `json:"qkdi_status"`
}

// Links is qkd_links.
type Links struct {
	List []Link `json:"qkd_link"`
}

// End is one end of a link.
type End struct {
	Node      string  `json:"qkdn_id"`
	Interface *uint32 `json:"qkdi_id,omitempty"`
}

// Link is qkd_link, PHYS or VIRT. Enable is a pointer because it is true when
// left out.
type Link struct {
	ID           string       `json:"qkdl_id"`
	Status       string       `json:"qkdl_status,omitempty"`
	Enable       *bool        `json:"qkdl_enable,omitempty"`
	Local        End          `json:"qkdl_local"`
	Remote       End          `json:"qkdl_remote"`
	Type         string       `json:"qkdl_type"`
	Applications []string     `json:"qkdl_applications,omitempty"`
	Prev         *string      `json:"virt_prev_hop,omitempty"`
	Next         []string     `json:"virt_next_hop,omitempty"`
	Bandwidth    uint32       `json:"virt_bandwidth,omitempty"`
	Performance  *Performance `json:"qkdl_performance,omitempty"`
}

// Performance is qkdl_performance, bit/s.
type Performance struct {
	Expected uint32     `json:"expected_consumption"`
	SKR      uint32     `json:"skr"`
	ESKR     uint32     `json:"eskr"`
	Phys     []PhysPerf `json:"phys_perf,omitempty"`
}

// PhysPerf is one measured value.
type PhysPerf struct {
	Type  string  `json:"perf_type"`
	Value float64 `json:"value"`
}

// Notification is one event of the node named.
type Notification struct {
	Seq  uint64    `json:"sequence"`
	At   time.Time `json:"event_time"`
	Name string    `json:"name"` // of the model's notification
	Node string    `json:"qkdn_id,omitempty"`
	Link string    `json:"qkdl_id,omitempty"`
	App  string    `json:"app_id,omitempty"`
	Text string    `json:"text,omitempty"`
}

// technology is the identity of a kind of link.
func technology(kind string) string {
	switch kind {
	case "bb84":
		return types + "DV-QKD"
	case "cv":
		return types + "CV-QKD"
	case "twin-field":
		return ownTypes + "TF-QKD"
	case "satellite", "repeater", "device", "preshared", "simulated":
		return ownTypes + kind
	}
	return ownTypes + "other"
}

// rate is a u32 of bit/s.
func rate(r qsc.BitRate) uint32 { return u32(float64(r)) }
