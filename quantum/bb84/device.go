// Package bb84 models a pair of decoy-state BB84 devices at two fidelities from
// one record of parameters: Predict computes expected counts and the length of
// the key from closed formulas, Protocol draws single clicks and sifts them for
// real with the other end.
//
// The length of a key comes from a named Bound, always over what was counted. The
// package corrects no errors, authenticates nothing, compresses no key (package
// distill does) and knows nothing of light beyond photon numbers: no phases, no
// side channels of real lasers and detectors, no correlation of afterpulses in
// time. Whatever it yields is of class Simulated.
package bb84

import (
	"fmt"
	"math"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Kind is the word of the network description.
const Kind = "bb84"

// Device is the record of a device pair: a transmitter with two or three
// intensities at Alice, a receiver with single-photon detectors at Bob. Bits of
// the key basis become key, those of the test basis are disclosed.
type Device struct {
	Clock     float64 `json:"clock_hz"`              // pulses in a second
	Mu1       float64 `json:"mu1"`                   // mean photon number of signals
	Mu2       float64 `json:"mu2"`                   // of decoys, below mu1
	Mu3       float64 `json:"mu3"`                   // of the second decoy, near vacuum; unused with one decoy
	P1        float64 `json:"p1"`                    // probability of a signal
	P2        float64 `json:"p2"`                    // of the first decoy; 1 - p1 with one decoy
	PX        float64 `json:"p_x"`                   // probability of the key basis at Alice
	PXBob     float64 `json:"p_x_bob"`               // at Bob; 0: as at Alice
	EtaDet    float64 `json:"eta_det"`               // efficiency of the detectors
	LossBob   float64 `json:"receiver_loss_db"`      // optics before the detectors
	PDark     float64 `json:"p_dc"`                  // dark count of one detector in one gate
	PAfter    float64 `json:"p_ap"`                  // afterpulses for each click
	EMis      float64 `json:"e_mis"`                 // part of the photons that goes to the wrong detector
	DeadTime  float64 `json:"dead_time_s"`           // of all detectors after a click of any
	FibreLoss float64 `json:"attenuation_db_per_km"` // where the channel gives its length only; 0: 0.2
	FEC       float64 `json:"f_ec"`                  // efficiency of reconciliation that is predicted with
	Block     int64   `json:"block"`                 // sifted bits of the key basis in a finite-key block
	EpsSec    float64 `json:"eps_sec"`               // secrecy of a block
	EpsCor    float64 `json:"eps_cor"`               // correctness of a block
	Decoys    int     `json:"decoys"`                // 1 or 2; 0: 2
	Bound     string  `json:"bound"`                 // of BoundNamed; "": wiesemann-2024
}

// Kind implements quantum.Device.
func (d Device) Kind() string { return Kind }

// maxCount bounds block and pulse numbers, so that they stay exact in a float64.
const maxCount = 1 << 53

// full returns the device with its defaults written out.
func (d Device) full() Device {
	if d.Decoys == 0 {
		d.Decoys = 2
	}
	if d.Decoys == 1 {
		d.Mu3, d.P2 = 0, 1-d.P1
	}
	if d.PXBob == 0 {
		d.PXBob = d.PX
	}
	if d.FibreLoss == 0 {
		d.FibreLoss = 0.2
	}
	if d.Bound == "" {
		d.Bound = Wiesemann
	}
	return d
}

// checked returns the device with its defaults, or an Invalid error that names
// every parameter out of range.
func (d Device) checked() (Device, error) {
	d = d.full()
	var faults []string
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			faults = append(faults, fmt.Sprintf("%s is %v: give %s", name, value, rule))
		}
	}
	in := func(v, lo, hi float64) bool { return v >= lo && v <= hi } // false for NaN
	inside := func(v, lo, hi float64) bool { return v > lo && v < hi }
	want(in(d.Clock, 1, 1e12), "clock_hz", d.Clock, "1 to 1e12")
	want(inside(d.Mu1, 0, 10), "mu1", d.Mu1, "more than 0, less than 10")
	want(inside(d.Mu2, d.Mu3, d.Mu1-d.Mu3), "mu2", d.Mu2, "more than mu3, less than mu1 - mu3")
	want(in(d.Mu3, 0, 10), "mu3", d.Mu3, "0 or a little more")
	want(inside(d.P1, 0, 1), "p1", d.P1, "between 0 and 1")
	want(d.P2 > 0 && (d.Decoys == 1 || d.P1+d.P2 < 1), "p2", d.P2, "more than 0, less than 1 - p1")
	want(inside(d.PX, 0, 1), "p_x", d.PX, "between 0 and 1")
	want(inside(d.PXBob, 0, 1), "p_x_bob", d.PXBob, "between 0 and 1")
	want(d.EtaDet > 0 && d.EtaDet <= 1, "eta_det", d.EtaDet, "more than 0, at most 1")
	want(in(d.LossBob, 0, 100), "receiver_loss_db", d.LossBob, "0 to 100")
	want(in(d.PDark, 0, 0.1), "p_dc", d.PDark, "0 to 0.1")
	want(in(d.PAfter, 0, 0.5), "p_ap", d.PAfter, "0 to 0.5")
	want(in(d.EMis, 0, 0.5), "e_mis", d.EMis, "0 to 0.5")
	want(in(d.DeadTime, 0, 1), "dead_time_s", d.DeadTime, "0 to 1")
	want(in(d.FibreLoss, 0.01, 100), "attenuation_db_per_km", d.FibreLoss, "0.01 to 100")
	want(in(d.FEC, 1, 10), "f_ec", d.FEC, "1 to 10")
	want(d.Block >= 1000 && d.Block <= maxCount, "block", d.Block, "1000 to 2^53")
	want(inside(d.EpsSec, 0, 0.5), "eps_sec", d.EpsSec, "between 0 and 0.5")
	want(inside(d.EpsCor, 0, 0.5), "eps_cor", d.EpsCor, "between 0 and 0.5")
	want(d.Decoys == 1 || d.Decoys == 2, "decoys", d.Decoys, "1 or 2")
	b, err := BoundNamed(d.Bound)
	want(err == nil, "bound", d.Bound, strings.Join(BoundNames(), ", "))
	want(err != nil || b.Fits(d.Decoys), "bound", d.Bound, fmt.Sprintf("one for %d decoys", d.Decoys))
	if len(faults) > 0 {
		return d, qsc.E("bb84.Device", qsc.Invalid, "", "%s", strings.Join(faults, "; "))
	}
	return d, nil
}

// lossOf returns a channel's loss in dB: as given, or by its length.
func (d Device) lossOf(c quantum.Channel) (float64, error) {
	if !(c.Loss >= 0 && c.Distance >= 0) || math.IsInf(c.Loss, 0) || math.IsInf(c.Distance, 0) {
		return 0, qsc.E("bb84.Device", qsc.Invalid, "", "a channel of %v dB and %v km: give a loss and a distance of 0 or more", c.Loss, c.Distance)
	}
	if c.Loss == 0 {
		return c.Distance * d.FibreLoss, nil
	}
	return c.Loss, nil
}

// mu and p are the intensities and their probabilities; the third is 0 with one
// decoy.
func (d Device) mu() [3]float64 { return [3]float64{d.Mu1, d.Mu2, d.Mu3} }

func (d Device) p() [3]float64 {
	if d.Decoys == 1 {
		return [3]float64{d.P1, 1 - d.P1, 0}
	}
	return [3]float64{d.P1, d.P2, 1 - d.P1 - d.P2}
}

// deadGates is how many gates the receiver misses after a click.
func (d Device) deadGates() float64 { return math.Round(d.DeadTime * d.Clock) }

// receiverEta is the part of the light at Bob's door that is detected.
func (d Device) receiverEta() float64 { return d.EtaDet * math.Pow(10, -d.LossBob/10) }
