// Package bbm92 is quantum key distribution with entangled photon pairs from a
// source between the two ends (Bennett, Brassard and Mermin 1992), at both
// fidelities: closed formulas after Ma, Fung and Lo (PRA 76, 012307), and
// coincidences drawn and sifted between two ends. The sifting serves any source of
// pairs (PairSource), such as a chain of repeaters.
//
// It draws coincidences, not single clicks: dead time and stray clicks enter as
// rates. It corrects no errors and makes no key; package distill does.
package bbm92
