package cvqkd

import "github.com/quantum-secure-cloud/qsc/quantum"

// Presets returns the devices of this kind by name. Only the first has a complete
// published parameter set. The others stand for experiments of which the loss,
// the clock and the key rate are published and the rest is not known here: their
// remaining parameters are usual ones, and their rates agree with the published
// ones only as far as docs/design/cvqkd.md says.
func Presets() []quantum.Preset {
	const eps = 1e-10
	finite := Device{Trusted: true, EpsPE: eps, EpsBar: eps, EpsPA: eps, EpsCor: eps}
	live := finite
	live.Clock, live.VA, live.Xi, live.Eta, live.Vel = 4e5, 1.1, 0.005, 0.7, 0.02
	live.Beta, live.Block, live.Estimate, live.Frame = 0.84, 4e6, 0.5, 1<<16
	both := live
	both.Clock, both.Heterodyne, both.VA, both.Block = 2e5, true, 2.2, 2e6
	km25 := finite
	km25.Clock, km25.VA, km25.Xi, km25.Eta, km25.Vel = 50e6, 6, 0.01, 0.6, 0.1
	km25.Beta, km25.Block, km25.Estimate, km25.Frame = 0.95, 1e9, 0.1, 1<<19
	km100 := finite
	km100.Clock, km100.VA, km100.Xi, km100.Eta, km100.Vel, km100.Heterodyne = 100e6, 3, 0.003, 0.7, 0.05, true
	km100.Beta, km100.Block, km100.Estimate, km100.Frame = 0.95, 1e10, 0.3, 1<<19
	return []quantum.Preset{
		{
			Name:   "gg02-metro",
			About:  "GG02 over 25 km, homodyne, asymptotic; Lodewyck et al. 2007 (PRA 76 042305); at 5.2 dB",
			Device: Device{Clock: 350e3, VA: 18.5, Xi: 0.005, Eta: 0.606, Vel: 0.041, Beta: 0.898, Trusted: true},
		},
		{
			Name:   "cv-metro-live",
			About:  "a metropolitan link that distils in real time on a fraction of a core, homodyne; for 1 to 2 dB; parameters are ours",
			Device: live,
		},
		{
			Name:   "cv-metro-live-heterodyne",
			About:  "as cv-metro-live with heterodyne detection; for 1 to 2 dB; parameters are ours",
			Device: both,
		},
		{
			Name:   "cv-25km",
			About:  "25 km at 50 MHz, where 5 Mbit/s were distilled (Sci. Rep. 2023, s41598-023-47517-7); usual parameters otherwise",
			Device: km25,
		},
		{
			Name:   "cv-100km",
			About:  "100 km of 15.4 dB with a local local oscillator, finite size (arXiv 2305.08156); usual parameters otherwise",
			Device: km100,
		},
		{
			Name:   "cv-203km",
			About:  "202.81 km of ultra-low-loss fibre, 6.214 bit/s published (PRL 125 010502); asymptotic, usual parameters otherwise",
			Device: Device{Clock: 5e6, VA: 7, Xi: 0.005, Eta: 0.6, Vel: 0.15, Beta: 0.98, Trusted: true},
		},
	}
}
