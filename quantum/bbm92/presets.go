package bbm92

import "github.com/quantum-secure-cloud/qsc/quantum"

// Presets returns the devices by name.
func Presets() []quantum.Preset {
	asymptotic := Security{Bound: KoashiPreskill}
	return []quantum.Preset{
		{Name: "bbm92-248", About: "248 km of fibre between two countries, about 79 dB, 1.4 bit/s over 82 h (Nature Communications 2022); source and dark rates chosen to fit", Device: Device{
			ClockHz: 1e10, Lambda: 0.035, EtaA: 0.8, EtaB: 0.8, Y0A: 3e-8, Y0B: 3e-8, EMis: 0.018,
			DeadTimeS: 3e-8, Split: 0.5, Attenuation: 0.31, PZ: 0.5, FEC: 1.16, Block: 100_000, MaxBlockS: 3e5, Security: asymptotic,
		}},
		{Name: "bbm92-micius", About: "two downlinks over 1,120 km, 0.12 bit/s at 4.5 % error (Nature 582, 501, 2020); source and background chosen to fit", Device: Device{
			ClockHz: 4e8, Lambda: 0.0075, EtaA: 0.5, EtaB: 0.5, Y0A: 5e-6, Y0B: 5e-6, EMis: 0.025,
			Split: 0.5, PZ: 0.5, FEC: 1.16, Block: 1500, MaxBlockS: 6200, Security: asymptotic,
		}},
		{Name: "bbm92-live", About: "a campus link with its source in the middle, for running live: 4 to 12 dB, first key after some ten seconds", Device: Device{
			ClockHz: 1e8, Lambda: 0.01, EtaA: 0.6, EtaB: 0.6, Y0A: 1e-6, Y0B: 1e-6, EMis: 0.01,
			DeadTimeS: 3e-8, Split: 0.5, Attenuation: 0.25, PZ: 0.9, FEC: 1.16, Block: 300_000, MaxBlockS: 600,
			Security: Security{Bound: Tomamichel2012, EpsSec: 1e-10, EpsCor: 1e-10},
		}},
	}
}
