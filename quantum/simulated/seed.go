package simulated

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Seed is what both ends of a simulated link share.
type Seed struct {
	Key   [16]byte
	Epoch uint32
	Start time.Time // block 0 begins to be made
}

// NewSeed draws a seed for a link whose first block is made from start on.
func NewSeed(start time.Time, epoch uint32) (s Seed) {
	_, _ = rand.Read(s.Key[:]) // never fails
	s.Epoch, s.Start = epoch, start.UTC().Truncate(time.Microsecond)
	return s
}

// seedFile is a seed on disk: JSON, one object.
type seedFile struct {
	Key   []byte    `json:"key"`
	Epoch uint32    `json:"epoch"`
	Start time.Time `json:"start"`
}

// maxSeedFile bounds a seed's file in bytes.
const maxSeedFile = 4 << 10

// Marshal returns the seed's file. It is as secret as the key it makes, which is
// not secret at all.
func (s Seed) Marshal() []byte {
	b, err := json.Marshal(seedFile{s.Key[:], s.Epoch, s.Start})
	if err != nil {
		panic("simulated: " + err.Error()) // a year beyond 9999
	}
	return append(b, '\n')
}

// ParseSeed reads what Marshal wrote. Error: Corrupt.
func ParseSeed(b []byte) (s Seed, err error) {
	var f seedFile
	if len(b) > maxSeedFile {
		return s, qsc.E("simulated.ParseSeed", qsc.Corrupt, "", "%d bytes are no seed", len(b))
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return s, qsc.E("simulated.ParseSeed", qsc.Corrupt, "", "%w", err)
	}
	if len(f.Key) != len(s.Key) || f.Start.IsZero() {
		return s, qsc.E("simulated.ParseSeed", qsc.Corrupt, "", "a seed needs 16 bytes of key and a start")
	}
	copy(s.Key[:], f.Key)
	s.Epoch, s.Start = f.Epoch, f.Start
	return s, nil
}
