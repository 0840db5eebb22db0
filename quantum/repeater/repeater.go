package repeater

import (
	"fmt"
	"math"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
)

// Kind is the word of network descriptions.
const Kind = "repeater"

// LightInFibre is in kilometres per second.
const LightInFibre = 2e5

// The schemes by which an elementary link heralds a pair.
const (
	// OneClick heralds on one photon: likelier, and of fidelity 1-alpha at best.
	OneClick = "one-click"
	// TwoClick heralds on the coincidence of two.
	TwoClick = "two-click"
)

// Device is the parameter record of a chain of repeaters. All elementary links are
// alike, each with its heralding station in its middle.
type Device struct {
	Scheme string `json:"scheme"` // one-click or two-click
	Links  int    `json:"links"`  // elementary links, 1 to 64; one fewer swaps
	Modes  int    `json:"modes"`  // attempts side by side in each link, 1 to 10⁶

	LinkKM      float64 `json:"link_km"`               // of an elementary link, where the channel's distance is not known
	Attenuation float64 `json:"attenuation_db_per_km"` // where the channel's loss is not known
	EtaArm      float64 `json:"eta_arm"`               // of each arm without its fibre: emission, collection, conversion, detector
	Alpha       float64 `json:"alpha"`                 // bright population, one-click only
	Fidelity    float64 `json:"fidelity"`              // of a pair just made, the price of alpha not included
	T2          float64 `json:"t2_s"`                  // coherence time of a stored pair, s; 0: does not decay
	Reset       float64 `json:"reset_s"`               // added to the period of attempts, s
	Purify      int     `json:"purify_rounds"`         // 0 to 3, of pairs heralded in the same period
	BSM         float64 `json:"p_bsm"`                 // success probability of a swap
	BSMFidelity float64 `json:"bsm_fidelity"`          // of a swap of perfect pairs

	PZ       float64 `json:"p_z"`      // probability of the key basis, at each end
	FEC      float64 `json:"f_ec"`     // efficiency of reconciliation that predictions assume
	Block    int     `json:"block"`    // sifted key-basis bits of a block
	Patience float64 `json:"patience"` // s after which a block ends as it is
	Bound    string  `json:"bound"`    // tomamichel-2012 or koashi-preskill
	EpsSec   float64 `json:"eps_sec"`
	EpsCor   float64 `json:"eps_cor"`
}

// Kind implements quantum.Device.
func (Device) Kind() string { return Kind }

// rangeOf is what a parameter may be.
type rangeOf struct {
	name         string
	value        float64
	low, high    float64
	lowExclusive bool
}

func (d Device) ranges() []rangeOf {
	return []rangeOf{
		{"links", float64(d.Links), 1, 64, false},
		{"modes", float64(d.Modes), 1, 1e6, false},
		{"link_km", d.LinkKM, 0, 1e4, false},
		{"attenuation_db_per_km", d.Attenuation, 0, 10, false},
		{"eta_arm", d.EtaArm, 0, 1, true},
		{"alpha", d.Alpha, 0, 0.5, false},
		{"fidelity", d.Fidelity, 0.25, 1, false},
		{"t2_s", d.T2, 0, 1e9, false},
		{"reset_s", d.Reset, 0, 10, false},
		{"purify_rounds", float64(d.Purify), 0, 3, false},
		{"p_bsm", d.BSM, 0, 1, true},
		{"bsm_fidelity", d.BSMFidelity, 0.25, 1, false},
		{"p_z", d.PZ, 0.01, 0.99, false},
		{"f_ec", d.FEC, 1, 10, false},
		{"block", float64(d.Block), 1e3, 1 << 27, false},
		{"patience", d.Patience, 0, 1e7, true},
		{"eps_sec", d.EpsSec, 0, 0.1, true},
		{"eps_cor", d.EpsCor, 0, 0.1, true},
	}
}

// check lists every parameter that is out of range.
func (d Device) check(op string) error {
	var faults []string
	for _, r := range d.ranges() {
		if !(r.value >= r.low && r.value <= r.high) || r.lowExclusive && r.value == r.low {
			faults = append(faults, fmt.Sprintf("%s is %g, not within %g to %g", r.name, r.value, r.low, r.high))
		}
	}
	if d.Scheme != OneClick && d.Scheme != TwoClick {
		faults = append(faults, fmt.Sprintf("scheme is %q, not %s or %s", d.Scheme, OneClick, TwoClick))
	}
	if d.Scheme == OneClick && d.Alpha == 0 {
		faults = append(faults, "alpha is 0: a one-click link without bright population makes no pairs")
	}
	if d.Bound != bbm92.Tomamichel2012 && d.Bound != bbm92.KoashiPreskill {
		faults = append(faults, fmt.Sprintf("bound is %q, not %s or %s", d.Bound, bbm92.Tomamichel2012, bbm92.KoashiPreskill))
	}
	if d.Purify > 0 && d.Modes > 1e4 {
		faults = append(faults, "modes is above 10000, too many to purify among")
	}
	if len(faults) > 0 {
		return qsc.E(op, qsc.Invalid, "", "%s", strings.Join(faults, "; "))
	}
	return nil
}

// layout is a channel cut into elementary links.
type layout struct {
	linkKM float64 // of one
	lossDB float64 // of one
}

// over cuts a channel. Where only its loss is known, the distance follows from the
// attenuation; where nothing is, link_km tells.
func (d Device) over(ch quantum.Channel) layout {
	km := ch.Distance
	if km <= 0 && ch.Loss > 0 && d.LinkKM == 0 && d.Attenuation > 0 {
		km = ch.Loss / d.Attenuation
	}
	if km <= 0 {
		km = d.LinkKM * float64(d.Links)
	}
	loss := ch.Loss
	if loss <= 0 {
		loss = km * d.Attenuation
	}
	return layout{km / float64(d.Links), loss / float64(d.Links)}
}

// clock is the attempts in a second, in whole hertz: one after the herald of the
// last, and after word of each round of purification.
func (d Device) clock(l layout) uint64 {
	period := float64(1+d.Purify)*l.linkKM/LightInFibre + d.Reset
	return uint64(min(max(math.Round(1/max(period, 1e-9)), 1), 1e9))
}

// fresh is the probability that a mode heralds in an attempt and the Werner
// parameter of what it heralds, with stray light of a probability at the station.
func (d Device) fresh(l layout, noise float64) (p, w float64) {
	arm := d.EtaArm * math.Pow(10, -l.lossDB/20)
	w = wernerOf(d.Fidelity)
	if d.Scheme == TwoClick {
		p = arm * arm / 2
	} else {
		p = min(2*d.Alpha*arm, 1)
		w *= wernerOf(1 - d.Alpha)
	}
	herald := p + noise - p*noise
	return herald, max(w, 0) * p / herald
}

// model is the chain over a channel.
func (d Device) model(l layout, noise float64) chain {
	p, w := d.fresh(l, noise)
	f, kept := nested(fidelityOf(w), d.Purify)
	clock := float64(d.clock(l))
	c := chain{links: d.Links, decay: 1, swap: math.Pow(d.BSM, float64(d.Links-1))}
	c.p = min(anyGroup(d.Modes, p, 1<<d.Purify, kept), 1)
	w = max(wernerOf(f), 0)
	if d.T2 > 0 {
		c.decay = math.Exp(-1 / (clock * d.T2))
		w *= math.Exp(-float64(1+d.Purify) * l.linkKM / LightInFibre / d.T2) // until the herald is known
	}
	c.w = math.Pow(w, float64(d.Links)) * math.Pow(wernerOf(d.BSMFidelity), float64(d.Links-1))
	return c
}
