package plan

import (
	"cmp"
	"math"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/preset"
	"github.com/quantum-secure-cloud/qsc/sim/plan/flow"
)

// Link is what one link yields.
type Link struct {
	ID       qsc.LinkID    `json:"link"`
	Kind     string        `json:"kind"`
	Preset   string        `json:"preset,omitempty"`
	Assumed  bool          `json:"assumed,omitempty"` // the description names no preset: one that suits was taken
	Ends     [2]qsc.NodeID `json:"ends"`
	Distance float64       `json:"km,omitempty"`
	Loss     float64       `json:"loss_db,omitempty"`
	Rate     qsc.BitRate   `json:"rate"` // of secret key; of couriered stock: spread until the next comes
	Sifted   qsc.BitRate   `json:"sifted,omitempty"`
	QBER     float64       `json:"qber,omitempty"`
	Fill     float64       `json:"block_seconds,omitempty"` // until a finite-key block is full
	Bound    string        `json:"bound"`
	Use      float64       `json:"use"`      // part of the rate that is taken when everybody gets what is wanted or, where that is too much, an equal part of it
	Load     float64       `json:"load"`     // the whole demand over the rate, shared out the same way; above 1 the rings run dry
	Autonomy float64       `json:"autonomy"` // days that full rings last for the whole demand when the source stops; -1: not used
	Lasts    float64       `json:"lasts"`    // days that they last when it runs; -1: for ever
	Price    float64       `json:"price"`    // its part in what limits the whole: 0 to 1
}

// maker is a plan in the making.
type maker struct {
	Config
	plan       *Plan
	number     map[qsc.NodeID]int
	linkNumber map[qsc.LinkID]int
	edges      []flow.Edge
	demands    []flow.Demand // joined by node pairs, each path counted; those without a way left out
	result     flow.Result
	cache      map[reckoned]quantum.Prediction
}

// reckoned is what a prediction depends on.
type reckoned struct {
	preset         string
	loss, distance float64
}

func (m *maker) index() error {
	m.number = make(map[qsc.NodeID]int, len(m.Network.Nodes))
	for i, n := range m.Network.Nodes {
		m.number[n.ID] = i
	}
	m.linkNumber = make(map[qsc.LinkID]int, len(m.Network.Links))
	for i, l := range m.Network.Links {
		m.linkNumber[l.ID] = i
	}
	m.cache = map[reckoned]quantum.Prediction{}
	return nil
}

func (m *maker) links() error {
	for _, l := range m.Network.Links {
		out, err := m.link(l)
		if err != nil {
			return err
		}
		m.plan.Links = append(m.plan.Links, out)
		m.edges = append(m.edges, flow.Edge{A: m.number[l.Ends[0]], B: m.number[l.Ends[1]], Capacity: float64(out.Rate)})
	}
	return nil
}

func (m *maker) link(l topology.Link) (Link, error) {
	out := Link{ID: l.ID, Kind: l.Kind, Preset: l.Preset, Ends: l.Ends, Distance: l.Distance, Loss: l.Loss, Rate: l.Rate, Bound: l.Kind}
	switch {
	case l.Kind == topology.KindPreshared:
		out.Rate = qsc.BitRate(float64(2*l.Pad*8) / m.Courier.Seconds())
		out.Bound = "couriered"
	case l.Physical() && (l.Preset != "" || l.Rate == 0):
		if l.Preset == "" {
			l.Preset, out.Assumed = suits(l), true
			out.Preset = l.Preset
		}
		p, err := m.predict(l)
		if err != nil {
			return out, err
		}
		out.Rate, out.Sifted, out.QBER, out.Fill, out.Bound = p.Rate, p.Sifted, p.QBER, p.Fill.Seconds(), p.Bound
	case l.Physical():
		out.Bound = "as described"
	}
	return out, nil
}

// predict remembers: many links of a large network are alike.
func (m *maker) predict(l topology.Link) (quantum.Prediction, error) {
	if l.Kind == topology.KindSatellite {
		return m.predictPasses(l)
	}
	key := reckoned{l.Preset, l.Loss, math.Round(l.Distance*10) / 10}
	if p, ok := m.cache[key]; ok {
		return p, nil
	}
	l.Distance = key.distance
	p, err := node.Predict(m.Network, l)
	if err == nil {
		m.cache[key] = p
	}
	return p, err
}

// predictPasses reckons in true time, even where the link's own runs faster to be
// watched.
func (m *maker) predictPasses(l topology.Link) (quantum.Prediction, error) {
	p, err := node.DeviceOf(m.Network, l)
	if err == nil {
		p, err = preset.Change(p, p.Name, map[string]any{"timescale": 1})
	}
	if err != nil {
		return quantum.Prediction{}, err
	}
	return p.Device.Predict(node.ChannelOf(l))
}

// usual is the device pair that a kind of link is reckoned with where the
// description names none.
var usual = map[string]string{
	topology.KindBB84: "rusca-snspd", topology.KindCV: "gg02-metro", topology.KindTwinField: "sns-202",
	topology.KindSatellite: "leo-micius", topology.KindBBM92: "bbm92-248", topology.KindMDI: "mdi-chip", topology.KindRepeater: "ion-10km",
}

func suits(l topology.Link) string {
	if l.Kind == topology.KindTwinField && l.Distance > 400 {
		return "sns-1002"
	}
	return usual[l.Kind]
}

// Scarcest returns at most n links, those first that limit the network most.
func Scarcest(links []Link, n int) []Link {
	out := slices.Clone(links)
	slices.SortStableFunc(out, func(a, b Link) int { return cmp.Or(-cmp.Compare(a.Price, b.Price), -cmp.Compare(a.Use, b.Use)) })
	return out[:min(n, len(out))]
}
