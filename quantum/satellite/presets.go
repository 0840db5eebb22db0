package satellite

import (
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bb84"
)

// source is a decoy source of satellites: 100 MHz, after Liao et al.
func source() bb84.Device {
	return bb84.Device{
		Clock: 100e6, Mu1: 0.8, Mu2: 0.1, Mu3: 1e-3, P1: 0.5, P2: 0.25, PX: 0.5,
		EtaDet: 0.5, PDark: 5e-8, EMis: 0.01, DeadTime: 50e-9, FEC: 1.16,
		Block: 1_000_000, EpsSec: 1e-9, EpsCor: 1e-15, Decoys: 2, Bound: bb84.Wiesemann,
	}
}

// midnight is a sun-synchronous orbit at 500 km that crosses the equator at local
// midnight and noon.
func midnight() Orbit {
	return Orbit{Altitude: 500, Inclination: 97.4, RAAN: 101, Epoch: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// micius is the first downlink to a telescope of 1 m.
func micius() Device {
	return Device{
		BB84: source(), Orbit: midnight(),
		Optics: Optics{
			Divergence: 5, Waist: 0.1, Wavelength: 848.6, Aperture: 1, Jitter: 1.2, Zenith: 0.6, Loss: 12,
			Field: 100, Filter: 5, Gate: 2, Night: 1.5e-5, Day: 15,
		},
		Lat: 40.4, Lon: 117.6, Height: 900, Climate: Climate{Clear: 0.55, Swing: 0.15, BestDay: 15},
		Lowest: 15, Timescale: 1,
	}
}

// Presets returns the device pairs that come with the program. Orbit, clock,
// intensities and apertures of those after published experiments are as published;
// optics_db stands for what was not, and is set so that the published counts come
// out.
func Presets() []quantum.Preset {
	first, later, small, live := micius(), micius(), micius(), micius()

	later.BB84.Clock, later.BB84.PX, later.BB84.P1, later.BB84.P2 = 200e6, 0.75, 0.75, 0.2
	later.BB84.Mu1, later.Loss = 0.6, 3

	small.BB84.Clock, small.BB84.Mu1, small.BB84.Mu2, small.BB84.PDark = 625e6, 0.5, 0.15, 1e-7
	small.Divergence, small.Aperture, small.Loss = 9, 0.28, 1.5

	// One decoy and a slow clock, so that a pass has about a million clicks; a
	// receiver that sees so little sky that days are nearly as good as nights.
	live.BB84.Clock, live.BB84.Decoys, live.BB84.PDark = 6e6, 1, 2e-8
	live.BB84.Mu1, live.BB84.Mu2, live.BB84.P1, live.BB84.PX = 0.4, 0.14, 0.4, 0.7
	live.Loss, live.Field, live.Filter, live.Gate, live.Jitter = 5, 10, 0.01, 0.3, 0.3
	live.Lat, live.Lon, live.Height, live.Climate = 35.69, 139.76, 40, Climate{Clear: 0.8, Swing: 0.1, BestDay: 15, Persistence: 6}
	live.Lowest, live.Timescale, live.FirstPass = 12, 600, 18

	return []quantum.Preset{
		{Name: "leo-micius", About: "the first downlink, 100 MHz from 500 km to a telescope of 1 m (Liao et al., Nature 549, 43)", Device: first},
		{Name: "leo-micius-2021", About: "the same satellite later, 40 times the key: 47.8 kbit/s over a pass (Chen et al., Nature 589, 214)", Device: later},
		{Name: "jinan-1", About: "a microsatellite with 625 MHz and a portable station of 28 cm (Li et al., arXiv 2408.10994)", Device: small},
		{Name: "leo-live", About: "a downlink by day and night whose time runs 600 times as fast, to watch: a pass every minute or so", Device: live},
	}
}
