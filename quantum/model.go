package quantum

import (
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Channel is what lies between the two ends of a link.
type Channel struct {
	Loss     float64 // dB from end to end, without the detectors; ≥ 0
	Distance float64 // km; 0 when not known
}

// Prediction is what a device pair is expected to yield over a channel: the
// count level, by closed formulas. All rates are averages over the time in which
// the device works, duty cycles and dead times included.
type Prediction struct {
	Clock  float64       // pulses, windows, symbols or attempts in a second
	Sifted qsc.BitRate   // bits that go into reconciliation
	Rate   qsc.BitRate   // secret key; 0 beyond the device's reach
	PerUse float64       // secret bits for each pulse, window, symbol or attempt
	QBER   float64       // of the key basis, 0 to 1; 0 where it has no meaning
	Fill   time.Duration // until one finite-key block is full; 0 for an asymptotic bound
	Bound  string        // the bound that gives the length
	EpsSec float64       // secrecy parameter; 0 for an asymptotic bound
	EpsCor float64       // correctness parameter
}

// Device is the parameter record of a device pair, from which both fidelities
// follow: the count level here, the event level in package distill. An
// implementation is a plain struct with JSON names, so that a network
// description can change single parameters by name.
type Device interface {
	// Kind is the word of the network description: "bb84", "cv", "twin-field",
	// "satellite", "bbm92", "mdi", "repeater".
	Kind() string

	// Predict is pure and takes microseconds to milliseconds. Error: Invalid,
	// naming every parameter that is out of range. A channel beyond the device's
	// reach is no error: the rate is 0.
	Predict(Channel) (Prediction, error)
}

// Preset is a device with a name, after a published experiment or product.
type Preset struct {
	Name   string // "tokyo-45km"
	About  string // one line: what it stands for and its source
	Device Device
}

// World stands in for everything physical that the two ends of a simulated link
// share: fibre, photons and noise. Both ends draw their own view of the same
// events from it. Who has it has the key, and so the class of all that comes of
// it is simulated.
type World struct {
	Seed  [32]byte  // of ChaCha8 streams, one for each purpose
	Epoch uint32    // rises when the link is provisioned anew
	Start time.Time // the first pulse
}

// Attack is what an eavesdropper does to a simulated link.
type Attack struct {
	Kind     AttackKind
	Strength float64 // 0 to 1; 0 ends the attack
}

// AttackKind is a way to attack a link.
type AttackKind string

// The attacks of the simulator. Strength is the fraction of pulses that are
// intercepted, the fraction of multi-photon pulses split, the fraction of time
// that detectors are blinded, the probability that noise light is put in with a
// pulse (times 10⁻²), or the fraction of public messages changed.
const (
	InterceptResend AttackKind = "intercept-resend"
	NumberSplitting AttackKind = "photon-number-splitting"
	Blinding        AttackKind = "blinding"
	Noise           AttackKind = "noise"
	Tampering       AttackKind = "tampering"
)

// AttackKinds lists them all.
func AttackKinds() []AttackKind {
	return []AttackKind{InterceptResend, NumberSplitting, Blinding, Noise, Tampering}
}

// Attackable is a simulated link, or the part of one that an attacker can reach.
type Attackable interface {
	// Attack replaces the attack that is under way. Errors: Unsupported for a
	// kind that makes no sense here, Invalid for a strength outside 0 to 1.
	Attack(Attack) error
}

// Record is what is kept of a round of distillation: under what its blocks were
// made. It holds no key and may be shown to anybody. Both ends keep the last
// thousands on disk (package distill says how many).
type Record struct {
	Link       qsc.LinkID     `json:"link"`
	Epoch      uint32         `json:"epoch"`
	Round      uint64         `json:"round"`
	FirstSeq   uint64         `json:"first_seq"` // of its key blocks
	Blocks     int            `json:"blocks"`
	Device     string         `json:"device"` // the preset's name
	Params     map[string]any `json:"params"` // every parameter that the length rests on
	Bound      string         `json:"bound"`
	EpsSec     float64        `json:"eps_sec"`
	EpsCor     float64        `json:"eps_cor"`
	Sifted     int64          `json:"sifted_bits"` // into reconciliation
	Lost       int64          `json:"lost_bits"`   // in frames that were dropped
	Errors     int64          `json:"errors"`      // corrected
	QBER       float64        `json:"qber"`
	Phi        float64        `json:"phi"` // phase error bound, 0 where it has no meaning
	Efficiency float64        `json:"f"`
	Leak       int64          `json:"leak_bits"` // disclosed, verification included
	Auth       int64          `json:"auth_bits"` // of key spent on tags
	Length     int64          `json:"length_bits"`
	ProducedAt time.Time      `json:"produced_at"`
}
