// Package qsc holds the nouns that every floor of the quantum-secure cloud
// shares: identifiers, quantities, the security class and the error.
//
// It does no work: no I/O, no cryptography, no randomness. It imports only the
// standard library, and every other package of the module may import it.
package qsc
