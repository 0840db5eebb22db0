package satellite

import (
	"fmt"
	"math"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/bb84"
)

// Kind is the word of network descriptions.
const Kind = "satellite"

// Device is the parameter record of a satellite with a decoy BB84 transmitter (the
// link's end 0, a trusted node) and a station on the ground (end 1).
type Device struct {
	BB84 bb84.Device `json:"bb84"` // its block is not used: a pass is a block
	Orbit
	Optics

	Lat     float64 `json:"lat_deg"` // of the station, degrees north
	Lon     float64 `json:"lon_deg"` // degrees east
	Height  float64 `json:"height_m"`
	Climate         // of the station
	Lowest  float64 `json:"min_elevation_deg"` // where a pass begins and ends, 5 to 60

	// Timescale is the simulated seconds in a second of the event level: everything
	// from the revolution to the detectors' dead time runs so much faster, and a
	// pass yields what it would have. FirstPass, where not 0, shifts the calendar so
	// that the first high pass that yields key begins so many (real) seconds after
	// World.Start; else the calendar is that of World.Start.
	Timescale float64 `json:"timescale"` // 1 to 3600
	FirstPass float64 `json:"first_pass_s"`
}

// Kind implements quantum.Device.
func (Device) Kind() string { return Kind }

// Station is the station that the device's parameters describe.
func (d Device) Station() Station {
	return Station{Lat: d.Lat, Lon: d.Lon, Height: d.Height, Climate: d.Climate}
}

// check names every parameter out of range.
func (d Device) check(op string) error {
	var faults []string
	in := func(name string, v, lo, hi float64) {
		if !(v >= lo && v <= hi) {
			faults = append(faults, fmt.Sprintf("%s is %g: give %g to %g", name, v, lo, hi))
		}
	}
	in("altitude_km", d.Altitude, 200, 2000)
	in("inclination_deg", d.Inclination, 0, 180)
	in("raan_deg", d.RAAN, -360, 360)
	in("phase_deg", d.Phase, -360, 360)
	in("divergence_urad", d.Divergence, 0, 1e4)
	in("waist_m", d.Waist, 0.001, 5)
	in("wavelength_nm", d.Wavelength, 200, 5000)
	in("aperture_m", d.Aperture, 0.01, 20)
	in("jitter_urad", d.Jitter, 0, 1e4)
	in("zenith_transmission", d.Zenith, 1e-6, 1)
	in("optics_db", d.Loss, 0, 100)
	in("field_urad", d.Field, 0, 1e4)
	in("filter_nm", d.Filter, 0, 1000)
	in("gate_ns", d.Gate, 0, 1000)
	in("sky_night", d.Night, 0, 1e4)
	in("sky_day", d.Day, 0, 1e4)
	in("lat_deg", d.Lat, -90, 90)
	in("lon_deg", d.Lon, -360, 360)
	in("height_m", d.Height, -500, 9000)
	in("clear_fraction", d.Clear, 0, 1)
	in("clear_swing", d.Swing, 0, 1)
	in("clear_best_day", d.BestDay, 0, 366)
	in("persistence_h", d.Persistence, 0, 1000)
	in("min_elevation_deg", d.Lowest, 5, 60)
	in("timescale", d.Timescale, 1, 3600)
	in("first_pass_s", d.FirstPass, 0, 1e5)
	if y := d.Epoch.Year(); y < 1957 || y > 2200 {
		faults = append(faults, fmt.Sprintf("epoch is in the year %d: give a date from 1957 to 2200", y))
	}
	if _, err := d.BB84.Secret(bb84.Counts{}); err != nil {
		faults = append(faults, "bb84: "+err.Error())
	}
	if len(faults) > 0 {
		return qsc.E(op, qsc.Invalid, "", "%s", strings.Join(faults, "; "))
	}
	return nil
}

// background is what the sky adds to the dark count probability of one detector in
// one gate: half of what comes through, since the detectors of a basis share it.
func (d Device) background(sunDeg float64) float64 {
	through := math.Pow(10, -(d.Loss+d.BB84.LossBob)/10) * d.BB84.EtaDet
	return min(d.Sky(sunDeg)*through/2, 0.25)
}
