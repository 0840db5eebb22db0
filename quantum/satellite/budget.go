package satellite

import "math"

// Optics is what lies between the transmitter's aperture and the receiver's
// detectors.
type Optics struct {
	Divergence float64 `json:"divergence_urad"`     // half angle to 1/e² of intensity, far away; 0: of a Gaussian beam from Waist
	Waist      float64 `json:"waist_m"`             // radius to 1/e² at the transmitter
	Wavelength float64 `json:"wavelength_nm"`       // of the light
	Aperture   float64 `json:"aperture_m"`          // diameter of the receiving telescope
	Jitter     float64 `json:"jitter_urad"`         // of pointing, standard deviation on each axis
	Zenith     float64 `json:"zenith_transmission"` // of the atmosphere, straight up
	Loss       float64 `json:"optics_db"`           // telescopes, filters, turbulence, coupling

	Field  float64 `json:"field_urad"` // full angle of the sky seen
	Filter float64 `json:"filter_nm"`  // width
	Gate   float64 `json:"gate_ns"`    // in which a click counts
	Night  float64 `json:"sky_night"`  // radiance in W/(m² sr µm), sun 18° below the horizon
	Day    float64 `json:"sky_day"`    // the same with the sun at the horizon or above
}

// spot is the beam's radius in m to 1/e² at a distance in km.
func (o Optics) spot(slant float64) float64 {
	z := slant * 1000
	if o.Divergence > 0 {
		return math.Hypot(o.Waist, o.Divergence*1e-6*z)
	}
	return math.Hypot(o.Waist, z*o.Wavelength*1e-9/(math.Pi*o.Waist))
}

// Geometric is the part of the light that the telescope collects at a distance in
// km: 1 - exp(-2r²/w²), times the mean of exp(-2 rho²/w²) over pointing errors rho,
// 1/(1 + 4 sigma²/w²), which holds for telescopes small against the spot.
func (o Optics) Geometric(slantKM float64) float64 {
	w := o.spot(slantKM)
	r, sigma := o.Aperture/2, o.Jitter*1e-6*slantKM*1000
	return -math.Expm1(-2*r*r/(w*w)) / (1 + 4*sigma*sigma/(w*w))
}

// Airmass is the air in the line of sight against that to the zenith, for an
// elevation in degrees (Kasten and Young, Applied Optics 28, 4735).
func Airmass(elevationDeg float64) float64 {
	e := max(elevationDeg, 0)
	return 1 / (math.Sin(rad(e)) + 0.50572*math.Pow(e+6.07995, -1.6364))
}

// Budget is the loss in dB from the transmitter's aperture to the detectors, the
// receiver's own loss of the device not included, at a distance in km and an
// elevation in degrees.
func (o Optics) Budget(slantKM, elevationDeg float64) float64 {
	t := o.Geometric(slantKM) * math.Pow(o.Zenith, Airmass(elevationDeg))
	return o.Loss - 10*math.Log10(max(t, 1e-30))
}

// radiance is the brightness of the sky for the sun's elevation in degrees: in the
// logarithm a straight line from night (-18°) to day (0°).
func (o Optics) radiance(sunDeg float64) float64 {
	if o.Night <= 0 || o.Day <= 0 {
		return 0
	}
	x := clamp((sunDeg+18)/18, 0, 1)
	return o.Night * math.Pow(o.Day/o.Night, x)
}

// Sky is the mean number of photons from the sky at the telescope's aperture in a
// gate: H Omega A dLambda dt / (h c/lambda).
func (o Optics) Sky(sunDeg float64) float64 {
	const photon = 6.62607015e-34 * 299792458 // J m
	field := math.Pi / 4 * o.Field * o.Field * 1e-12
	area := math.Pi / 4 * o.Aperture * o.Aperture
	energy := o.radiance(sunDeg) * field * area * o.Filter * 1e-3 * o.Gate * 1e-9
	return energy * o.Wavelength * 1e-9 / photon
}
