package mdi

import (
	"math"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// source is what one end sends.
type source uint8

const (
	vacuum source = iota
	weak
	strong
	signal // in Z; the two above in X
	sources
)

// choice is one end's choice for a pulse.
type choice struct {
	source source
	bit    byte // which bin in Z, which phase in X
	sample bool // Alice's: to be disclosed if both sent signals
}

// party is one end's choices for every pulse.
type party struct {
	words              events.Settings
	pSignal, p0, below uint64 // thresholds of 21 bits; below is p0 + p1
}

func newParty(d Device, w quantum.World, name string) party {
	return party{
		words: events.NewSettings(w, "mdi/"+name), pSignal: events.Threshold(d.PSignal, 21),
		p0: events.Threshold(d.P0, 21), below: events.Threshold(d.P0+d.P1, 21),
	}
}

// at returns the choice for a pulse: bits 0 to 20 of its word choose between signal
// and decoy, bits 21 to 41 among decoys, bit 42 is the bit, bits 43 to 48 the
// sample.
func (p *party) at(pulse uint64) choice {
	const mask = 1<<21 - 1
	w := p.words.Word(pulse)
	c := choice{bit: byte(w >> 42 & 1), sample: w>>43&63 == 0}
	switch inner := w >> 21 & mask; {
	case w&mask < p.pSignal:
		c.source = signal
	case inner < p.p0:
	case inner < p.below:
		c.source = weak
	default:
		c.source = strong
	}
	return c
}

// light is what arrives of one end: photons in the early and the late bin, and
// whether the late one's phase is turned by π.
type light struct {
	bins   [2]float64
	turned bool
}

// lightOf is a source's light of mean photons.
func lightOf(inZ bool, mean float64, bit byte) (l light) {
	if inZ {
		l.bins[bit] = mean
		return l
	}
	return light{[2]float64{mean / 2, mean / 2}, bit == 1}
}

// at returns the photons at the two detectors in one bin, for the cosine of the
// phase between the two ends in the early one.
func at(bin int, a, b light, cos float64) (zero, one float64) {
	x, y := a.bins[bin], b.bins[bin]
	swing := math.Sqrt(x*y) * cos
	if bin == 1 && a.turned != b.turned {
		swing = -swing
	}
	return (x+y)/2 + swing, (x+y)/2 - swing
}
