package pool

import "github.com/quantum-secure-cloud/qsc"

// The health tests of NIST SP 800-90B clause 4.4 on bytes, for a claimed entropy
// of H = 8 bits a byte less a margin: H = 7 bits, false alarms at 2^-40.
//
// Repetition count (4.4.1): cutoff C = 1 + ceil(40 / H) = 7.
//
// Adaptive proportion (4.4.2): window W = 512 samples; C = 1 + CRITBINOM(512,
// 2^-7, 1 - 2^-40) = 26: the chance that one value comes 26 times or more in a
// window of an honest source is below 2^-40.
const (
	repetitionCutoff = 7
	proportionWindow = 512
	proportionCutoff = 26
)

// Health runs both tests over everything that a source gives. It finds a source
// that is stuck or has become lopsided; it cannot show that one is random. Not
// safe for concurrent use.
type Health struct {
	last   byte
	run    int
	first  byte
	seen   int
	same   int
	failed error
}

// NewHealth starts the tests.
func NewHealth() *Health { return &Health{} }

// Check takes the next bytes in. Error: Corrupt when a test has failed, now or
// ever before: the bytes must not be used.
func (h *Health) Check(b []byte) error {
	for _, v := range b {
		if h.failed != nil {
			break
		}
		h.repetition(v)
		h.proportion(v)
	}
	return h.failed
}

// Err returns what Check has found so far.
func (h *Health) Err() error { return h.failed }

func (h *Health) fail(text string) {
	h.failed = qsc.E("pool.Check", qsc.Corrupt, "", "the source of randomness fails the %s test of SP 800-90B: do not use it, and have it examined", text)
}

func (h *Health) repetition(v byte) {
	if h.run > 0 && v == h.last {
		if h.run++; h.run >= repetitionCutoff {
			h.fail("repetition count")
		}
		return
	}
	h.last, h.run = v, 1
}

func (h *Health) proportion(v byte) {
	if h.seen == 0 {
		h.first, h.same = v, 0
	}
	if v == h.first {
		if h.same++; h.same >= proportionCutoff {
			h.fail("adaptive proportion")
		}
	}
	if h.seen++; h.seen == proportionWindow {
		h.seen = 0
	}
}
