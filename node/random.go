package node

import (
	"crypto/rand"

	"github.com/quantum-secure-cloud/qsc"
)

// osRandom draws share coefficients from the operating system's generator. It is
// computational, and every object made with it says so.
type osRandom struct{}

func (osRandom) Fill(p []byte) error {
	_, err := rand.Read(p)
	return err
}

func (osRandom) Class() qsc.Class { return qsc.OSRandom }
