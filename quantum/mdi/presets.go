package mdi

import (
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/midpoint"
)

// Presets returns the devices by name.
func Presets() []quantum.Preset {
	chip := Device{midpoint.Params{
		ClockHz: 1.25e9, Mu: 0.258, PSignal: 0.436, Mu1: 0.0556, Mu2: 0.278, P0: 0.286, P1: 0.629,
		EtaDet: 0.5, PDc: 3e-8, EMis: 0.015, Attenuation: 0.2, FEC: 1.16, Block: 2_700_000, MaxBlockS: 36_000,
		Bound: Zhou2016, EpsSec: 1e-10, EpsCor: 1e-10,
	}}
	live := chip
	live.ClockHz, live.EtaDet, live.PDc, live.EMis = 5e7, 0.8, 1e-7, 0.01
	live.Block, live.MaxBlockS = 3_000_000, 600
	live.Mu, live.PSignal, live.Mu1, live.Mu2, live.P0, live.P1 = 0.349, 0.452, 0.074, 0.363, 0.284, 0.627
	return []quantum.Preset{
		{Name: "mdi-chip", About: "silicon chips at 1.25 GHz, 36 dB, 31 bit/s with finite key (arXiv 1911.00690); detectors, error and block chosen to fit", Device: chip},
		{Name: "mdi-live", About: "a city link with its station in the middle, for running live: 2 to 8 dB, first key after half a minute at 5 dB", Device: live},
	}
}
