package twinfield

import (
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/midpoint"
)

// Presets returns the devices by name.
func Presets() []quantum.Preset {
	lab := Device{Duty: 0.6, PSend: 0.281, Slice: 0.213, Params: midpoint.Params{
		ClockHz: 1e9, Mu: 0.504, PSignal: 0.85, Mu1: 0.066, Mu2: 0.413, P0: 0.05, P1: 0.9,
		EtaDet: 0.6, PDc: 1e-9, EMis: 0.05, Attenuation: 0.157, FEC: 1.16, Block: 50_000_000, MaxBlockS: 3600,
		Bound: AOPP, EpsSec: 1e-10, EpsCor: 1e-10,
	}}
	far := lab
	far.Mu, far.PSend, far.PDc, far.Attenuation, far.MaxBlockS = 0.46, 0.281, 8.5e-12, 0.156, 1e7
	live := lab
	live.ClockHz, live.EtaDet, live.PDc, live.EMis = 1e8, 0.8, 1e-7, 0.02
	live.Block, live.MaxBlockS, live.Bound = 1_000_000, 600, Jiang2021
	live.Mu, live.PSend, live.PSignal, live.Mu1, live.Mu2, live.Slice = 0.374, 0.214, 0.81, 0.071, 0.465, 0.228
	return []quantum.Preset{
		{Name: "sns-202", About: "202 km, 31.7 dB, 111.74 kbit/s (arXiv 2402.00005); asymptotic, misalignment and duty as the reference assumes", Device: lab},
		{Name: "sns-1002", About: "1,002 km of ultra-low-loss fibre, 156.5 dB, 3.11e-12 bit for a pulse with finite key (arXiv 2402.00005); asymptotic, dark counts chosen to fit", Device: far},
		{Name: "sns-live", About: "202 km at a tenth of the clock, for running live: finite key after some eight seconds", Device: live},
	}
}
