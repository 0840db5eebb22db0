package timetag

import (
	"cmp"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// Simulation draws what two taggers at the ends of a link of entangled pairs would
// write, so that all that follows can be tried without them. Pairs come at random
// times (a source that runs all the time, far below one pair in a coherence time);
// each receiver chooses its basis by a beam splitter.
type Simulation struct {
	PairsHz   float64 `json:"pairs_hz"`    // of the source
	EtaA      float64 `json:"eta_a"`       // probability that a photon is detected at Alice's end, channel included
	EtaB      float64 `json:"eta_b"`       // at Bob's
	DarkHz    float64 `json:"dark_hz"`     // dark and stray clicks of each detector
	JitterS   float64 `json:"jitter_s"`    // standard deviation of a detector's time
	EMis      float64 `json:"e_mis"`       // probability that a pair's values differ in the same basis
	DeadTimeS float64 `json:"dead_time_s"` // of each detector
	OffsetS   float64 `json:"offset_s"`    // by which Bob's clock is ahead of Alice's at the start
	Skew      float64 `json:"skew"`        // by which it is faster, as a ratio
}

func (s Simulation) check(epochs int) error {
	ok := s.PairsHz > 0 && s.PairsHz*max(s.EtaA, s.EtaB)+4*s.DarkHz <= 1.5e6 && s.EtaA > 0 && s.EtaA <= 1 && s.EtaB > 0 && s.EtaB <= 1 &&
		s.DarkHz >= 0 && s.JitterS >= 0 && s.JitterS < 1e-6 && s.EMis >= 0 && s.EMis <= 0.5 && s.DeadTimeS >= 0 && s.DeadTimeS < 1 &&
		math.Abs(s.OffsetS) <= 1 && math.Abs(s.Skew) <= 1e-3 && epochs >= 1 && epochs <= 1<<10
	if !ok {
		return qsc.E("timetag.Simulate", qsc.Invalid, "", "a parameter is out of range: at most 1,024 epochs, 1.5 million clicks in a second at each end, a second of offset")
	}
	return nil
}

// Simulate writes the files of both ends for so many epochs from the world's start on,
// and marks both directories as simulated. Bob's clock is behind or ahead, so his
// events reach into an epoch before or after, whose file is then not full. Errors:
// Invalid, and those of WriteRaw.
func (s Simulation) Simulate(w quantum.World, epochs int, alice, bob *os.Root) error {
	if err := s.check(epochs); err != nil {
		return err
	}
	d := &drawn{sim: s, r: events.Stream(w, "timetag/pairs"), first: EpochAt(w.Start) + 1, span: float64(epochs) * (1 << epochBits)}
	for end, eta := range []float64{s.EtaA, s.EtaB} {
		d.clicks[end] = make([]click, 0, int(1.05*(s.PairsHz*eta+4*s.DarkHz)*EpochTime.Seconds()*float64(epochs))+100)
	}
	d.pairs()
	for end := range d.clicks {
		d.darks(end)
	}
	for end, root := range []*os.Root{alice, bob} {
		if err := root.WriteFile(simulatedMark, []byte("drawn from a seed: protects nothing\n"), 0o600); err != nil {
			return qsc.E("timetag.Simulate", qsc.Other, "", "%w", err)
		}
		for _, raw := range d.packets(end) {
			if err := WriteRaw(root, raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// click is a detection before it is written: at a time of that end's clock, in units
// since the first epoch's start.
type click struct {
	at       float64
	detector uint8
}

type drawn struct {
	sim    Simulation
	r      *rand.Rand
	first  Epoch
	span   float64 // units
	clicks [2][]click
}

const perSecond = 1e9 * perNanosecond

// each calls do at random times at a rate.
func (d *drawn) each(hz float64, do func(at float64)) {
	if hz <= 0 {
		return
	}
	for at := d.r.ExpFloat64() * perSecond / hz; at < d.span; at += d.r.ExpFloat64() * perSecond / hz {
		do(at)
	}
}

// hit notes a click at a true time. Detectors are wired as DefaultWiring: bit 0 of the
// number is the basis, bit 1 the value.
func (d *drawn) hit(end int, at float64, basis, value uint8) {
	at += d.r.NormFloat64() * d.sim.JitterS * perSecond
	if end == 1 {
		at = at*(1+d.sim.Skew) + d.sim.OffsetS*perSecond
	}
	d.clicks[end] = append(d.clicks[end], click{at, basis | value<<1})
}

// pairs draws the pairs of which a photon at least is detected.
func (d *drawn) pairs() {
	s := d.sim
	some := s.EtaA + s.EtaB - s.EtaA*s.EtaB
	d.each(s.PairsHz*some, func(at float64) {
		bits := d.r.Uint32()
		basis := [2]uint8{uint8(bits & 1), uint8(bits >> 1 & 1)}
		value := [2]uint8{uint8(bits >> 2 & 1), uint8(bits >> 3 & 1)}
		if basis[0] == basis[1] {
			value[1] = value[0]
			if d.r.Float64() < s.EMis {
				value[1] ^= 1
			}
		}
		u := d.r.Float64() * some
		if u < s.EtaA {
			d.hit(0, at, basis[0], value[0])
		}
		if u < s.EtaA*s.EtaB || u >= s.EtaA {
			d.hit(1, at, basis[1], value[1])
		}
	})
}

func (d *drawn) darks(end int) {
	d.each(4*d.sim.DarkHz, func(at float64) {
		bits := d.r.Uint32()
		d.hit(end, at, uint8(bits&1), uint8(bits>>1&1))
	})
}

// packets are an end's events, by epoch. Clicks of one moment are one event.
func (d *drawn) packets(end int) (list []*Raw) {
	all := d.clicks[end]
	slices.SortFunc(all, func(a, b click) int { return cmp.Compare(a.at, b.at) })
	dead := d.sim.DeadTimeS * perSecond
	last := [4]float64{}
	for i := range last {
		last[i] = math.Inf(-1)
	}
	var raw *Raw
	for _, c := range all {
		if c.at-last[c.detector] < dead {
			continue
		}
		last[c.detector] = c.at
		m := d.first.start() + moment(int64(math.Floor(c.at)))
		if raw == nil || raw.Epoch != m.epoch() {
			raw = &Raw{Head: Head{Epoch: m.epoch(), Universal: true}}
			list = append(list, raw)
		}
		e := Event{Time: uint64(m) & (1<<timeBits - 1), Detectors: 1 << c.detector}
		if n := len(raw.Events); n > 0 && raw.Events[n-1].Time == e.Time {
			raw.Events[n-1].Detectors |= e.Detectors
			continue
		}
		raw.Events = append(raw.Events, e)
	}
	return list
}

// Begin is when the first epoch of a simulation from a world begins: the start of the
// first round that may use it.
func Begin(w quantum.World) time.Time {
	return (EpochAt(w.Start) + 1).start().time(w.Start)
}
