package topology

import (
	"strings"

	qsc "github.com/quantum-secure-cloud/qsc"
)

// The kinds of link that this version can run.
const (
	KindPreshared = "preshared"
	KindSimulated = "simulated"
	KindDevice    = "device"
)

// LinkKind is a kind of link that a description may name.
type LinkKind struct {
	Name     string
	About    string
	Runnable bool // false: may be described and planned, not run
}

var linkKinds = []LinkKind{
	{KindPreshared, "stored random couriered to both ends", true},
	{KindSimulated, "key made by a simulated pair; protects nothing", true},
	{"bb84", "prepare and measure over fibre", false},
	{"cv", "continuous variables over fibre", false},
	{"twin-field", "twin field through a middle station", false},
	{"satellite", "free space through a satellite", false},
	{"repeater", "entanglement through quantum repeaters", false},
	{KindDevice, "key taken from a vendor's device by ETSI GS QKD 014 or 004", true},
}

// Kinds lists every kind of link that a description may name.
func Kinds() []LinkKind { return append([]LinkKind(nil), linkKinds...) }

func kindOf(name string) (LinkKind, bool) {
	for _, k := range linkKinds {
		if k.Name == name {
			return k, true
		}
	}
	return LinkKind{}, false
}

func kindNames() string {
	names := make([]string, len(linkKinds))
	for i, k := range linkKinds {
		names[i] = k.Name
	}
	return strings.Join(names, ", ")
}

// Runnable returns nil when every link is of a kind that can be run, and
// otherwise an error of kind Unsupported that names the first ten links that
// are not.
func (n *Network) Runnable() error {
	var bad []string
	for _, l := range n.Links {
		if k, _ := kindOf(l.Kind); !k.Runnable {
			bad = append(bad, string(l.ID)+" ("+l.Kind+")")
		}
	}
	if len(bad) == 0 {
		return nil
	}
	more := ""
	if len(bad) > 10 {
		bad, more = bad[:10], ", ..."
	}
	return qsc.E("topology.Runnable", qsc.Unsupported, n.Name,
		"this version runs links of kind %s, %s and %s only; change the kind of %s%s",
		KindPreshared, KindSimulated, KindDevice, strings.Join(bad, ", "), more)
}
