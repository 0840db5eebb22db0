package bbm92

import (
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// Kind is the word of network descriptions.
const Kind = "bbm92"

// Device is a source of photon pairs by parametric down-conversion with a receiver
// at each end. A source that runs all the time is described by coincidence windows
// in the place of pulses.
type Device struct {
	ClockHz     float64 `json:"clock_hz"`              // pulses, or coincidence windows, in a second
	Lambda      float64 `json:"lambda"`                // half the mean number of pairs in each
	EtaA        float64 `json:"eta_a"`                 // Alice's detectors and optics, 0 to 1
	EtaB        float64 `json:"eta_b"`                 // Bob's
	Y0A         float64 `json:"y0_a"`                  // probability of a dark or stray click of Alice's in a pulse, both detectors together
	Y0B         float64 `json:"y0_b"`                  // Bob's
	EMis        float64 `json:"e_mis"`                 // probability that misalignment flips a bit
	DeadTimeS   float64 `json:"dead_time_s"`           // seconds that each receiver is blind after a click
	Split       float64 `json:"split"`                 // share of the channel's loss, in dB, on Alice's side
	Attenuation float64 `json:"attenuation_db_per_km"` // for channels whose loss is not given
	PZ          float64 `json:"p_z"`                   // probability of the key basis at each end
	FEC         float64 `json:"f_ec"`                  // efficiency of error correction, for predictions
	Block       int     `json:"block"`                 // sifted bits of the key basis in a block
	MaxBlockS   float64 `json:"max_block_s"`           // seconds after which a block ends as it is
	Security
}

// check lists every parameter that is out of range.
func (d Device) check(ch quantum.Channel) error {
	var r events.Ranges
	prob := func(x float64) bool { return x >= 0 && x < 1 }
	r.Want(d.ClockHz >= 1 && d.ClockHz <= 1e12, "clock_hz")
	r.Want(d.Lambda > 0 && d.Lambda <= 2, "lambda")
	r.Want(d.EtaA > 0 && d.EtaA <= 1, "eta_a")
	r.Want(d.EtaB > 0 && d.EtaB <= 1, "eta_b")
	r.Want(prob(d.Y0A), "y0_a")
	r.Want(prob(d.Y0B), "y0_b")
	r.Want(d.EMis >= 0 && d.EMis <= 0.5, "e_mis")
	r.Want(d.DeadTimeS >= 0 && d.DeadTimeS < 1, "dead_time_s")
	r.Want(d.Split >= 0 && d.Split <= 1, "split")
	r.Want(d.Attenuation >= 0 && d.Attenuation <= 1e3, "attenuation_db_per_km")
	r.Want(d.PZ > 0 && d.PZ < 1, "p_z")
	r.Want(d.FEC >= 1 && d.FEC < 10, "f_ec")
	r.Want(d.Block >= 1 && d.Block <= 1<<27, "block")
	r.Want(d.MaxBlockS > 0 && d.MaxBlockS <= 1e8, "max_block_s")
	r.WantChannel(ch)
	if err := r.Err("bbm92.Device"); err != nil {
		return err
	}
	_, err := d.bound()
	return err
}

// Kind implements quantum.Device.
func (d Device) Kind() string { return Kind }

// arms returns the transmittance from the source to each end's click.
func (d Device) arms(ch quantum.Channel) (a, b float64) {
	loss := events.Loss(ch, d.Attenuation)
	return d.EtaA * math.Pow(10, -loss*d.Split/10), d.EtaB * math.Pow(10, -loss*(1-d.Split)/10)
}

// Gains returns the probability of a coincidence in a pulse and of one with an
// error where both measured in the same basis (Ma, Fung and Lo, PRA 76,
// 012307). The factor of the second term that holds the dark counts is
// left out there; with it the form is exact for random bits of double clicks.
func (d Device) Gains(ch quantum.Channel) (gain, errors float64) {
	etaA, etaB := d.arms(ch)
	return gains(d.Lambda, etaA, etaB, d.Y0A, d.Y0B, d.EMis)
}

func gains(lambda, etaA, etaB, y0A, y0B, eMis float64) (gain, errors float64) {
	a, b := etaA*lambda, etaB*lambda
	c := a + b - etaA*etaB*lambda
	// 1 - u/(1+a)² - v/(1+b)² + uv/(1+c)², arranged so that small gains keep their
	// digits: (1-x)(1-y) + (uv/(1+c)² - xy).
	x, y := (1-y0A)/((1+a)*(1+a)), (1-y0B)/((1+b)*(1+b))
	oneX, oneY := (y0A+a*(2+a))/((1+a)*(1+a)), (y0B+b*(2+b))/((1+b)*(1+b))
	// (1+a)(1+b)/(1+c) = 1 + t
	t := (a*b + etaA*etaB*lambda) / (1 + c)
	gain = oneX*oneY + x*y*t*(2+t)
	corr := math.Sqrt((1-y0A)*(1-y0B)) * etaA * etaB * lambda * (1 + lambda) / ((1 + a) * (1 + b) * (1 + c))
	return gain, gain/2 - 2*(0.5-eMis)*corr
}

// alive is the share of time in which neither receiver is blind.
func (d Device) alive(ch quantum.Channel) float64 {
	etaA, etaB := d.arms(ch)
	single := func(eta, y0 float64) float64 {
		rate := d.ClockHz * (1 - (1-y0)/((1+eta*d.Lambda)*(1+eta*d.Lambda)))
		return 1 / (1 + rate*d.DeadTimeS)
	}
	return single(etaA, d.Y0A) * single(etaB, d.Y0B)
}

// Predict implements quantum.Device. With the asymptotic bound both bases give
// key, as the published formula has it: R = ½Q(1-(1+f)h(E)) where both bases are
// as likely. With the finite one, blocks of Block bits in Z are tested by X.
func (d Device) Predict(ch quantum.Channel) (quantum.Prediction, error) {
	if err := d.check(ch); err != nil {
		return quantum.Prediction{}, err
	}
	q, eq := d.Gains(ch)
	q, eq = q*d.alive(ch), eq*d.alive(ch)
	bound, _ := d.bound()
	p := quantum.Prediction{Clock: d.ClockHz, QBER: eq / q, Bound: bound}
	inZ, inX := d.PZ*d.PZ*q, (1-d.PZ)*(1-d.PZ)*q
	n, tests := float64(d.Block), float64(d.Block)*inX/inZ
	if bound == KoashiPreskill {
		inZ += inX
	} else {
		p.EpsSec, p.EpsCor = d.EpsSec, d.EpsCor
		p.Fill = events.Seconds(n / inZ / d.ClockHz)
	}
	p.PerUse = max(inZ*d.Share(n, tests, p.QBER, d.FEC), 0)
	p.Sifted = qsc.BitRate(inZ * d.ClockHz)
	p.Rate = qsc.BitRate(p.PerUse * d.ClockHz)
	return p, nil
}

// Protocol implements distill.Runnable. Error: Invalid.
func (d Device) Protocol(s distill.Setup) (distill.Protocol, error) {
	if err := d.check(s.Channel); err != nil {
		return nil, err
	}
	q, _ := d.Gains(s.Channel)
	etaA, etaB := d.arms(s.Channel)
	return NewProtocol(s, Link{
		Clock: uint64(math.Round(d.ClockHz)), Rate: q * d.alive(s.Channel), PZ: d.PZ, Block: d.Block,
		Patience: events.Seconds(d.MaxBlockS), Security: d.Security,
		Source: d.source(etaA, etaB, d.alive(s.Channel)),
		Params: map[string]any{
			"clock_hz": d.ClockHz, "lambda": d.Lambda, "eta_a": etaA, "eta_b": etaB,
			"y0_a": d.Y0A, "y0_b": d.Y0B, "e_mis": d.EMis, "dead_time_s": d.DeadTimeS,
		},
	})
}
