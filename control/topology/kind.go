package topology

import (
	"strings"

	qsc "github.com/quantum-secure-cloud/qsc"
)

// The kinds of link. Those after KindDevice are physical: their key follows from
// a device pair, which a preset names.
const (
	KindPreshared = "preshared"
	KindSimulated = "simulated"
	KindDevice    = "device"
	KindBB84      = "bb84"
	KindCV        = "cv"
	KindTwinField = "twin-field"
	KindSatellite = "satellite"
	KindBBM92     = "bbm92"
	KindMDI       = "mdi"
	KindRepeater  = "repeater"
)

// LinkKind is a kind of link that a description may name.
type LinkKind struct {
	Name     string
	About    string
	Physical bool // photons are simulated and key distilled; runs where a preset is given
}

var linkKinds = []LinkKind{
	{KindPreshared, "stored random couriered to both ends", false},
	{KindSimulated, "key made by a simulated pair; protects nothing", false},
	{KindBB84, "prepare and measure over fibre, decoy states", true},
	{KindCV, "continuous variables over fibre", true},
	{KindTwinField, "twin field through a middle station", true},
	{KindSatellite, "free space, satellite to ground", true},
	{KindBBM92, "entangled pairs over fibre", true},
	{KindMDI, "measurement in an untrusted middle station", true},
	{KindRepeater, "entanglement through quantum repeaters", true},
	{KindDevice, "key taken from a vendor's device: ETSI GS QKD 014 or 004, a file of records, time tags", false},
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

// Physical reports whether the link's key comes from simulated photons.
func (l Link) Physical() bool { k, _ := kindOf(l.Kind); return k.Physical }

// Runnable returns nil when every link can be run, and otherwise an error of
// kind Unsupported that names the first ten physical links without a preset:
// they are described to be planned.
func (n *Network) Runnable() error {
	var bad []string
	for _, l := range n.Links {
		if l.Physical() && l.Preset == "" {
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
		"to run a link of a physical kind, name its device pair, such as preset = \"tokyo-45km\" (qsc plan --presets lists them): %s%s",
		strings.Join(bad, ", "), more)
}
