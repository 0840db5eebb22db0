// Package repeater is a link of quantum repeaters: elementary links that herald
// entangled pairs into memories, many modes at once, purified and swapped until the
// two ends of the chain share a pair, which they measure as in BBM92. Both
// fidelities follow from one record: exact expectations of a stochastic model, and
// an event level that draws the same model and is sifted by package bbm92.
//
// It does not simulate photons, gates or control electronics one by one, has no
// cut-off that discards old pairs, and does not choose where nodes stand.
package repeater
