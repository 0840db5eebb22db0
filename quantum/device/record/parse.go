package record

import "github.com/quantum-secure-cloud/qsc"

// The file is records of 48 bytes without a header: a UUID and a key, both as they
// are.
const (
	idSize  = 16
	KeySize = 32               // bytes of key in a record
	Size    = idSize + KeySize // bytes of a record
)

// parse returns the name in a whole record. ok is false where there is none yet: a
// writer that reserves space ahead, or has not come to the key, leaves zeros.
func parse(rec []byte) (id qsc.KeyID, ok bool) {
	copy(id[:], rec[:idSize])
	return id, id != qsc.KeyID{} && !zero(rec[idSize:Size])
}

// zero looks at every byte, whatever it finds.
func zero(b []byte) bool {
	var or byte
	for _, x := range b {
		or |= x
	}
	return or == 0
}

// parseAll hands on the names in b, whole records from its first byte on, until the
// first that is not there yet or take wants no more. It returns how many bytes
// are done with.
func parseAll(b []byte, take func(id qsc.KeyID, at int) bool) (done int) {
	for done+Size <= len(b) {
		id, ok := parse(b[done : done+Size])
		if !ok || !take(id, done) {
			break
		}
		done += Size
	}
	return done
}
