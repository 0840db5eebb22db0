package cvqkd

import (
	"sync"

	"github.com/quantum-secure-cloud/qsc/quantum/distill/ldpc"
)

// maxIterations is how long a frame is worked on.
const maxIterations = 100

// code is one end's code for frames: the receiver's syndromes, the sender's
// decoder.
type code struct {
	*ldpc.Code
	*ldpc.Decoder
}

// codes keeps the codes in use for frames of n bits. A steady channel moves
// between two or three rates.
type codes struct {
	n int

	mu   sync.Mutex
	kept map[int]code
}

const maxCodes = 8

// get returns the code of a number of checks. Error: Invalid, where there is none.
func (c *codes) get(checks int) (code, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.kept[checks]; ok {
		return k, nil
	}
	k, err := ldpc.NewCode(c.n, checks)
	if err != nil {
		return code{}, err
	}
	if c.kept == nil || len(c.kept) >= maxCodes {
		c.kept = map[int]code{}
	}
	c.kept[checks] = code{k, ldpc.NewDecoder(k)}
	return c.kept[checks], nil
}
