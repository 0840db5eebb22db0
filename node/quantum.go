package node

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/ldpc"
	"github.com/quantum-secure-cloud/qsc/quantum/preset"
)

// Quantum is this node's end of a link whose key it distils itself.
type Quantum struct {
	Channel string `toml:"channel"` // host:port of the public channel
}

// The attacks of the simulator, for programs that may not import rooms of other
// floors. See package quantum.
type (
	Attack     = quantum.Attack
	AttackKind = quantum.AttackKind
)

// InterceptResend is the attack that everybody knows.
const InterceptResend = quantum.InterceptResend

// AttackKinds lists all attacks.
var AttackKinds = quantum.AttackKinds

// DeviceOf returns the device pair of a physical link, as its preset and the
// network description say. Errors: NotFound for an unknown preset, Invalid for
// parameters that do not fit and for a device of another kind than the link.
func DeviceOf(net *Network, l Link) (quantum.Preset, error) {
	p, err := presetOf(net, l.Preset, 0)
	if err != nil {
		return p, err
	}
	if p.Device.Kind() != l.Kind {
		return p, qsc.E("node.DeviceOf", qsc.Invalid, string(l.ID), "the preset %s is of kind %s, the link of kind %s", p.Name, p.Device.Kind(), l.Kind)
	}
	if l.Kind == topology.KindSatellite {
		return atStation(net, l, p)
	}
	return p, nil
}

// maxBases bounds how many presets of a description may rest on each other.
const maxBases = 16

func presetOf(net *Network, name string, depth int) (quantum.Preset, error) {
	own, ok := net.Preset(name)
	if !ok {
		return preset.Find(name)
	}
	if depth == maxBases {
		return quantum.Preset{}, qsc.E("node.DeviceOf", qsc.Invalid, name, "presets that rest on each other in a ring")
	}
	base, err := presetOf(net, own.Base, depth+1)
	if err != nil {
		return base, err
	}
	return preset.Change(base, own.ID, own.Params)
}

// atStation tells a satellite's device where its ground station is.
func atStation(net *Network, l Link, p quantum.Preset) (quantum.Preset, error) {
	n, _ := net.Node(StationOf(net, l))
	s, ok := net.Site(n.Site)
	if n.ID != l.Ends[1] {
		return p, qsc.E("node.DeviceOf", qsc.Invalid, string(l.ID), "light comes down: name the satellite as the link's first end and the station %s as its second", n.ID)
	}
	if !ok || !s.Location.Known {
		return p, qsc.E("node.DeviceOf", qsc.Invalid, string(l.ID), "neither end of the satellite link has a location: give the ground station's site one")
	}
	return preset.Change(p, p.Name, map[string]any{"lat_deg": s.Location.Lat, "lon_deg": s.Location.Lon})
}

// StationOf returns that end of a satellite link which stands on the ground: the
// end whose site has a location, the second if both have.
func StationOf(net *Network, l Link) qsc.NodeID {
	for _, end := range []qsc.NodeID{l.Ends[1], l.Ends[0]} {
		n, _ := net.Node(end)
		if s, ok := net.Site(n.Site); ok && s.Location.Known {
			return end
		}
	}
	return l.Ends[1]
}

// Attack implements admin.Links.
func (n *Node) Attack(link qsc.LinkID, a quantum.Attack) error {
	e, err := n.end(link)
	if err != nil {
		return err
	}
	target, ok := e.source.(quantum.Attackable)
	if !ok {
		return qsc.E("node.Attack", qsc.Unsupported, string(link), "a link of kind %s has no simulated photons to attack", e.link.Kind)
	}
	return target.Attack(a)
}

// Records implements admin.Links.
func (n *Node) Records(link qsc.LinkID, limit int) ([]quantum.Record, error) {
	e, err := n.end(link)
	if err != nil {
		return nil, err
	}
	keeper, ok := e.source.(interface {
		Records(limit int) []quantum.Record
	})
	if !ok {
		return nil, qsc.E("node.Records", qsc.Unsupported, string(link), "a link of kind %s distils nothing here", e.link.Kind)
	}
	return keeper.Records(limit), nil
}

func (n *Node) end(link qsc.LinkID) (*linkEnd, error) {
	for _, e := range n.links {
		if e.link.ID == link {
			return e, nil
		}
	}
	return nil, qsc.E("node", qsc.NotFound, string(link), "the node %s has no such link", n.cfg.Node)
}

// openQuantum opens this end of a link whose key is distilled here: the device
// simulated, the rest for real.
func (n *Node) openQuantum(e *linkEnd) (quantum.Link, error) {
	channel, ok := n.cfg.Quantum[string(e.link.ID)]
	if !ok {
		return nil, qsc.E("node.Open", qsc.NotFound, string(e.link.ID), "no public channel: name one in the node's file under [quantum.%s]", e.link.ID)
	}
	p, err := DeviceOf(n.net, e.link)
	if err != nil {
		return nil, err
	}
	expected, err := p.Device.Predict(ChannelOf(e.link))
	if err != nil {
		return nil, err
	}
	protocol, world, err := n.protocol(e, p)
	if err != nil {
		return nil, err
	}
	return n.openDistillation(e, distill.Config{
		Epoch: world.Epoch, Protocol: protocol, Reconciler: reconcilerOf(e.link.Kind), Device: p.Name, Kind: e.link.Kind,
		Class: qsc.Simulated, Predicted: expected.Rate,
	}, channel.Channel)
}

// protocol opens this end of the simulated device.
func (n *Node) protocol(e *linkEnd, p quantum.Preset) (distill.Protocol, quantum.World, error) {
	runs, ok := p.Device.(distill.Runnable)
	if !ok {
		return nil, quantum.World{}, qsc.E("node.Open", qsc.Unsupported, string(e.link.ID), "the preset %s can be planned with, not run", p.Name)
	}
	seed, err := n.seed(e)
	if err != nil {
		return nil, quantum.World{}, err
	}
	world := quantum.World{Epoch: seed.Epoch, Start: seed.Start}
	copy(world.Seed[:], seed.Key[:])
	protocol, err := runs.Protocol(distill.Setup{Role: distill.Role(e.end), World: world, Channel: ChannelOf(e.link), Pace: true})
	return protocol, world, err
}

// reconcilerOf corrects the errors of a kind of link: few round trips where light
// takes long, few bits disclosed elsewhere. Continuous variables bring their own.
func reconcilerOf(kind string) distill.Reconciler {
	switch kind {
	case topology.KindCV:
		return nil
	case topology.KindSatellite:
		return ldpc.New(ldpc.Config{})
	}
	return cascade.New(cascade.Config{})
}

// foundQuantum writes the world of a physical link and its ends' first secret.
func foundQuantum(net *Network, data string, l Link) error {
	if err := foundSeed(net, data, l); err != nil {
		return err
	}
	return foundMasks(net, data, l)
}

// foundMasks writes what the ends of a link authenticate their first rounds of
// distillation with, unless both have it.
func foundMasks(net *Network, data string, l Link) error {
	var dirs [2]durable.FS
	founded := true
	for i, end := range l.Ends {
		path := filepath.Join(dirOf(net, data, end), linkDir(l.ID, distillDir))
		if err := os.MkdirAll(path, 0o700); err != nil {
			return qsc.E("node.Found", qsc.Invalid, path, "%w", err)
		}
		d, err := durable.Dir(path)
		if err != nil {
			return err
		}
		defer d.Close()
		dirs[i] = d
		founded = founded && distill.Founded(d)
	}
	if founded {
		return nil
	}
	return distill.Found(dirs, rand.Reader)
}

// ChannelOf is what lies between a link's ends.
func ChannelOf(l Link) quantum.Channel { return quantum.Channel{Loss: l.Loss, Distance: l.Distance} }

// Predict returns what a link is expected to yield: its rate in the description,
// or what its device makes of its channel. Errors as of DeviceOf.
func Predict(net *Network, l Link) (quantum.Prediction, error) {
	if !l.Physical() || l.Preset == "" {
		return quantum.Prediction{Rate: l.Rate, Bound: l.Kind}, nil
	}
	p, err := DeviceOf(net, l)
	if err != nil {
		return quantum.Prediction{}, err
	}
	return p.Device.Predict(ChannelOf(l))
}

// PresetInfo is a device pair that a description may name.
type PresetInfo struct {
	Name   string         `json:"name"`
	Kind   string         `json:"kind"`
	About  string         `json:"about"`
	Runs   bool           `json:"runs"` // has an event level
	Params map[string]any `json:"parameters"`
}

// opens reports whether a device's events can be drawn: some are reckoned with
// only, under bounds that no run can meet.
func opens(d quantum.Device) bool {
	runs, ok := d.(distill.Runnable)
	if !ok {
		return false
	}
	p, err := runs.Protocol(distill.Setup{World: quantum.World{Start: time.Now()}, Channel: quantum.Channel{Loss: 5, Distance: 25}})
	if err != nil {
		return false
	}
	return p.Close() == nil
}

// Presets lists the device pairs that come with the program.
func Presets() []PresetInfo {
	var out []PresetInfo
	for _, p := range preset.All() {
		out = append(out, PresetInfo{p.Name, p.Device.Kind(), p.About, opens(p.Device), preset.Params(p.Device)})
	}
	return out
}
