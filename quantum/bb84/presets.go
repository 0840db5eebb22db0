package bb84

import "github.com/quantum-secure-cloud/qsc/quantum"

// gated is a 1 GHz transmitter with gated avalanche diodes at Bob, the devices of
// the field trial at 45 km as far as its reports tell.
var gated = Device{
	Clock: 1e9, Mu1: 0.38, Mu2: 0.187, Mu3: 2e-4, P1: 0.561, P2: 0.299, PX: 0.886,
	EtaDet: 0.2, PDark: 1e-5, PAfter: 0.02, EMis: 0.02, FibreLoss: 0.32,
	FEC: 1.16, Block: 1e8, EpsSec: 1e-10, EpsCor: 1e-15, Decoys: 2, Bound: Wiesemann,
}

// nanowire is a slower transmitter with superconducting detectors, which one core
// simulates at little cost.
var nanowire = Device{
	Clock: 62.5e6, Mu1: 0.55, Mu2: 0.26, Mu3: 1e-3, P1: 0.4, P2: 0.46, PX: 0.875,
	EtaDet: 0.6, PDark: 1e-7, EMis: 0.01, DeadTime: 40e-9, FibreLoss: 0.5,
	FEC: 1.08, Block: 4e6, EpsSec: 1e-10, EpsCor: 1e-15, Decoys: 2, Bound: Wiesemann,
}

// but returns a changed copy.
func (d Device) but(change func(*Device)) Device {
	change(&d)
	return d
}

// Presets returns the device pairs that come with the program. Their intensities
// and probabilities are optima of Optimise for the channel named, rounded; they
// are literals so that both ends of a link have the same.
func Presets() []quantum.Preset {
	return append(published(), live()...)
}

// published are after experiments; where a report gives a rate and not the
// detectors behind it, these are chosen to meet it.
func published() []quantum.Preset {
	return []quantum.Preset{
		{Name: "lim-apd", About: "the numerical example of Lim et al., PRA 89 022307, fig. 1, for 20 dB", Device: Device{
			Clock: 1e9, Mu1: 0.433, Mu2: 0.21, Mu3: 2e-4, P1: 0.389, P2: 0.473, PX: 0.862,
			EtaDet: 0.1, PDark: 6e-7, PAfter: 0.04, EMis: 0.005, FibreLoss: 0.2,
			FEC: 1.16, Block: 1e7, EpsSec: 1e-10, EpsCor: 1e-15, Decoys: 2, Bound: Lim,
		}},
		{Name: "rusca-snspd", About: "one decoy, superconducting detectors: Rusca et al., APL 112 171104, for 26 dB", Device: Device{
			Clock: 1e9, Mu1: 0.462, Mu2: 0.196, P1: 0.61, PX: 0.893,
			EtaDet: 0.5, PDark: 1e-8, EMis: 0.01, DeadTime: 100e-9, FibreLoss: 0.2,
			FEC: 1.16, Block: 1e7, EpsSec: 1e-9, EpsCor: 1e-15, Decoys: 1, Bound: Rusca,
		}},
		{Name: "tokyo-45km-field", About: "45 km of Tokyo's fibre, 14.5 dB, blocks of 10⁸ bits, about 300 kbit/s: Opt. Express 23, 7583", Device: gated},
		{Name: "toshiba-10mbps", About: "13.72 Mbit/s at 2 dB for a month, blocks of 10⁸ bits: arXiv 1807.04484; detectors chosen to meet it", Device: gated.but(func(d *Device) {
			d.EtaDet, d.EMis, d.FibreLoss = 0.28, 0.015, 0.2
			d.Mu1, d.Mu2, d.P1, d.P2, d.PX = 0.462, 0.203, 0.615, 0.294, 0.911
		})},
		{Name: "ustc-110mbps", About: "115.8 Mbit/s at 10 km: arXiv 2307.02364; receiver chosen to meet it", Device: Device{
			Clock: 2.5e9, Mu1: 0.555, Mu2: 0.169, P1: 0.843, PX: 0.956,
			EtaDet: 0.78, LossBob: 1.6, PDark: 1e-8, EMis: 0.0035, DeadTime: 1e-9, FibreLoss: 0.19,
			FEC: 1.1, Block: 1e8, EpsSec: 1e-10, EpsCor: 1e-15, Decoys: 1, Bound: Wiesemann,
		}},
		{Name: "gys", About: "Gobby, Yuan, Shields 2004 with decoys, asymptotic: reach 142 km, not finite-key secure", Device: Device{
			Clock: 2e6, Mu1: 0.48, Mu2: 0.1, Mu3: 1e-3, P1: 0.8, P2: 0.15, PX: 0.5,
			EtaDet: 0.045, PDark: 8.5e-7, EMis: 0.033, FibreLoss: 0.21,
			FEC: 1.22, Block: 1e5, EpsSec: 1e-10, EpsCor: 1e-15, Decoys: 2, Bound: Asymptotic,
		}},
	}
}

// live fill a block in two or three seconds and cost a small part of a core.
func live() []quantum.Preset {
	return []quantum.Preset{
		{Name: "tokyo-45km", About: "tokyo-45km-field with blocks of 2.5·10⁶ bits, for 14.5 dB: key within three seconds, at a lower rate", Device: gated.but(func(d *Device) {
			d.FEC, d.Block = 1.08, 2_500_000
			d.Mu1, d.Mu2, d.P1, d.P2, d.PX = 0.421, 0.196, 0.216, 0.59, 0.806
		})},
		{Name: "metro-snspd", About: "62.5 MHz, superconducting detectors, two decoys, for 12 km and 6 dB of city fibre", Device: nanowire},
		{Name: "metro-apd", About: "200 MHz, gated avalanche diodes, two decoys under Lim's bound, for 13 km and 6.5 dB", Device: gated.but(func(d *Device) {
			d.Clock, d.PDark, d.PAfter, d.EMis, d.FibreLoss = 200e6, 2e-6, 0.015, 0.015, 0.5
			d.FEC, d.Block, d.Bound, d.Mu3 = 1.08, 3_000_000, Lim, 1e-3
			d.Mu1, d.Mu2, d.P1, d.P2, d.PX = 0.461, 0.214, 0.306, 0.532, 0.84
		})},
		{Name: "metro-one-decoy", About: "40 MHz, superconducting detectors, one decoy, for 5 km and 2.5 dB", Device: nanowire.but(func(d *Device) {
			d.Clock, d.EtaDet, d.Decoys, d.Mu3, d.P2 = 40e6, 0.5, 1, 0, 0
			d.Mu1, d.Mu2, d.P1, d.PX = 0.5, 0.21, 0.54, 0.87
		})},
	}
}
