package satellite

import (
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bb84"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// year is what predictions average over, from the orbit's epoch on.
const year = 365 * 24 * time.Hour

// Predict implements quantum.Device: the average over a year of the device's own
// station, one block for each pass, weather by the climate's probability. The
// channel is not used: loss and distance follow from the orbit. Rates are those of
// the event level: with a timescale, so many times the satellite's.
func (d Device) Predict(quantum.Channel) (quantum.Prediction, error) {
	if err := d.check("satellite.Predict"); err != nil {
		return quantum.Prediction{}, err
	}
	return d.Average(d.Station()), nil
}

// Average is Predict over a station.
func (d Device) Average(st Station) quantum.Prediction {
	if p, ok := averages.get(d, st); ok {
		return p
	}
	var bits, sifted, wrong float64
	yields := 0
	d.eachPass(st, d.Epoch, d.Epoch.Add(year), func(p Pass) bool {
		if p.Bits > 0 {
			bits += p.Expected()
			sifted += float64(p.Sifted) * p.Clear
			wrong += float64(p.Sifted) * p.Clear * p.QBER
			yields++
		}
		return true
	})
	s := year.Seconds() / d.Timescale
	out := quantum.Prediction{
		Clock: d.fast().Clock, Sifted: qsc.BitRate(sifted / s), Rate: qsc.BitRate(bits / s),
		PerUse: bits / s / d.fast().Clock, Bound: d.bound(), EpsSec: d.BB84.EpsSec, EpsCor: d.BB84.EpsCor,
	}
	if sifted > 0 {
		out.QBER = wrong / sifted
		out.Fill = events.Seconds(s / float64(yields))
	}
	averages.put(d, st, out)
	return out
}

// cache remembers averages: a controller asks for the same again and again. It is
// emptied when it has grown.
type cache struct {
	mu   sync.Mutex
	seen map[asked]quantum.Prediction
}

type asked struct {
	device  Device
	station Station
}

var averages cache

func (c *cache) get(d Device, s Station) (quantum.Prediction, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.seen[asked{d, s}]
	return p, ok
}

func (c *cache) put(d Device, s Station, p quantum.Prediction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || len(c.seen) > 256 {
		c.seen = map[asked]quantum.Prediction{}
	}
	c.seen[asked{d, s}] = p
}

func (d Device) bound() string {
	if d.BB84.Bound == "" {
		return bb84.Wiesemann
	}
	return d.BB84.Bound
}
