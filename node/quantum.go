package node

import (
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/preset"
)

// Quantum is this node's end of a link whose key it distils itself.
type Quantum struct {
	Channel string `toml:"channel"` // host:port of the public channel
}

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

// atStation tells a satellite's device where its ground station is: at the end
// whose site has a location.
func atStation(net *Network, l Link, p quantum.Preset) (quantum.Preset, error) {
	for _, end := range []qsc.NodeID{l.Ends[1], l.Ends[0]} {
		n, _ := net.Node(end)
		if s, ok := net.Site(n.Site); ok && s.Location.Known {
			return preset.Change(p, p.Name, map[string]any{"lat_deg": s.Location.Lat, "lon_deg": s.Location.Lon})
		}
	}
	return p, qsc.E("node.DeviceOf", qsc.Invalid, string(l.ID), "neither end of the satellite link has a location: give the ground station's site one")
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
	keeper, ok := e.source.(interface{ Records(limit int) []quantum.Record })
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
