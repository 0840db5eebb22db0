package repeater

import (
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
)

// base is what the presets share.
func base() Device {
	return Device{
		Scheme: TwoClick, Links: 2, Modes: 100, LinkKM: 10, Attenuation: 0.2, EtaArm: 0.1,
		Fidelity: 0.99, T2: 1, BSM: 0.5, BSMFidelity: 0.995,
		PZ: 0.7, FEC: 1.16, Block: 50_000, Patience: 120,
		Bound: bbm92.Tomamichel2012, EpsSec: 1e-9, EpsCor: 1e-15,
	}
}

// Presets returns the device pairs that come with the program. Those of published
// experiments fix what was published (distances, fidelity, order of rate); the rest
// of their parameters is ours.
func Presets() []quantum.Preset {
	ion, live, field, chain := base(), base(), base(), base()

	live.BSM, live.Block = 1, 20_000 // swaps between ions succeed always

	field.Links, field.Modes, field.LinkKM, field.Fidelity = 1, 1, 20.5, 0.92
	field.Scheme, field.Alpha, field.EtaArm, field.T2 = OneClick, 0.02, 0.01, 1e-2
	field.Bound, field.Block, field.Patience = bbm92.KoashiPreskill, 1_000, 3600

	chain.Links, chain.Modes, chain.LinkKM, chain.T2 = 8, 1_000, 62.5, 10
	chain.EtaArm, chain.Fidelity, chain.BSM, chain.BSMFidelity = 0.5, 0.999, 1, 0.998
	chain.Block = 100_000

	return []quantum.Preset{
		{Name: "ion-10km", About: "two links of 10 km, two-click, 100 modes, half of the swaps succeed: the worked target of at least 10 transfers a second", Device: ion},
		{Name: "ion-live", About: "as ion-10km with swaps that always succeed and a small block, to run at once", Device: live},
		{Name: "rb-20km", About: "one link of 20.5 km in the field after Luo et al. (arXiv 2201.11953), rubidium memories; efficiencies are ours", Device: field},
		{Name: "chain-500km", About: "eight links of 62.5 km, 1000 modes, memories of 10 s: what a first long chain needs", Device: chain},
	}
}
