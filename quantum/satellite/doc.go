// Package satellite is a quantum link from a low orbit down to a telescope: orbit,
// passes, the loss of the beam on its way, sky light and weather, with a decoy BB84
// pair (package bb84) on board and on the ground. One block of key is made of each
// pass. Both fidelities follow from one record: a calendar of passes with the
// secret bits of each, and an event level that draws clicks under the loss of the
// moment.
//
// It does not track satellites from published elements, does not model turbulence
// beyond a mean loss, polarisation, Doppler shift or clocks, and does not plan which
// station is served when two see the satellite.
package satellite
