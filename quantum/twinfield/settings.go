package twinfield

import (
	"math"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// source is what one end does in a window.
type source uint8

const (
	vacuum source = iota // decoy windows
	weak
	strong
	silent // signal windows: not sent
	sent
	sources

	signal = silent // told in place of silent and sent where both ends have signal windows
)

// isSignal reports whether the window is a signal window.
func (s source) isSignal() bool { return s >= silent }

// nothing reports whether no light was sent.
func (s source) nothing() bool { return s == vacuum || s == silent }

// phases are told and drawn in steps of 2π/4096.
const phases = 1 << 12

// party is one end's choices in every window.
type party struct {
	words                     events.Settings
	pSignal, pSend, p0, below uint64 // thresholds of 21 bits; below is p0 + p1
}

func newParty(d Device, w quantum.World, name string) party {
	return party{
		words: events.NewSettings(w, "twinfield/"+name), pSignal: events.Threshold(d.PSignal, 21), pSend: events.Threshold(d.PSend, 21),
		p0: events.Threshold(d.P0, 21), below: events.Threshold(d.P0+d.P1, 21),
	}
}

// at returns what the party does in a window: bits 0 to 20 of its word choose
// between signal and decoy, bits 21 to 41 within, bits 42 to 53 the phase.
func (p *party) at(window uint64) (source, uint16) {
	const mask = 1<<21 - 1
	w := p.words.Word(window)
	inner, phase := w>>21&mask, uint16(w>>42&(phases-1))
	switch {
	case w&mask < p.pSignal && inner < p.pSend:
		return sent, phase
	case w&mask < p.pSignal:
		return silent, phase
	case inner < p.p0:
		return vacuum, phase
	case inner < p.below:
		return weak, phase
	}
	return strong, phase
}

// cosine is of a phase difference.
var cosine = func() (t [phases]float64) {
	for i := range t {
		t[i] = math.Cos(2 * math.Pi * float64(i) / phases)
	}
	return t
}()

// width is the slice in steps of the phase.
func (d Device) width() int { return int(d.Slice / (2 * math.Pi) * phases) }

// slice says for a pair of phases whether they lie within the slice, around 0 or
// around π, and which detector is the right one. width is in steps.
func slice(a, b uint16, width int) (in bool, right byte) {
	d := int(a-b) & (phases - 1)
	if d > phases/2 {
		d = phases - d
	}
	if d <= width {
		return true, 0
	}
	return phases/2-d <= width, 1
}
