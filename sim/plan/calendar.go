package plan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/quantum/satellite"
)

// Pass is one pass of a satellite over a ground station at which key can be made.
type Pass struct {
	Link      qsc.LinkID `json:"link"`
	Station   qsc.NodeID `json:"station"`
	Rise      time.Time  `json:"rise"`
	Top       time.Time  `json:"culmination"`
	Set       time.Time  `json:"set"`
	Elevation float64    `json:"elevation_deg"` // the highest
	Clear     bool       `json:"clear"`         // by the calendar's weather
	Bits      int64      `json:"bits"`          // of secret key; 0 under cloud
}

// calendar lists the passes over every ground station, in a weather drawn from the
// plan's seed.
func (m *maker) calendar() error {
	var links []topology.Link
	var devices []satellite.Device
	var stations []satellite.Station
	for _, l := range m.Network.Links {
		if l.Kind != topology.KindSatellite {
			continue
		}
		l.Preset = first(l.Preset, suits(l))
		p, err := node.DeviceOf(m.Network, l)
		if err != nil {
			return err
		}
		d, ok := p.Device.(satellite.Device)
		if !ok {
			return qsc.E("plan.Make", qsc.Invalid, string(l.ID), "the preset %s is no satellite", p.Name)
		}
		st := d.Station()
		st.Name = string(l.ID)
		links, devices, stations = append(links, l), append(devices, d), append(stations, st)
	}
	if len(links) == 0 {
		return nil
	}
	return m.passes(links, devices, stations)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (m *maker) passes(links []topology.Link, devices []satellite.Device, stations []satellite.Station) error {
	to := m.From.AddDate(0, 0, m.Days)
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], m.Seed)
	weather, err := satellite.NewWeather(seed, stations, m.From.Add(-time.Hour), to.Add(2*time.Hour))
	if err != nil {
		return err
	}
	for i, l := range links {
		for _, p := range devices[i].Calendar(stations[i], m.From, to, weather) {
			pass := Pass{Link: l.ID, Station: node.StationOf(m.Network, l), Rise: p.Rise, Top: p.Culmination, Set: p.Set, Elevation: p.MaxElevation, Clear: p.Clear > 0.5}
			if pass.Clear {
				pass.Bits = p.Bits
			}
			m.plan.Passes = append(m.plan.Passes, pass)
		}
	}
	slices.SortStableFunc(m.plan.Passes, func(a, b Pass) int { return a.Rise.Compare(b.Rise) })
	m.plan.Weather = fmt.Sprintf("Calendar: %d days from %s; the sky over each station is drawn hour by hour from seed %d by its climate and is no forecast.",
		m.Days, m.From.Format(time.DateOnly), m.Seed)
	return nil
}

// WithKey counts the passes that yield key.
func WithKey(passes []Pass) (n int) {
	for _, p := range passes {
		if p.Bits > 0 {
			n++
		}
	}
	return n
}
