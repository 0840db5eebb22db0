package keymgmttest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// Matrix runs one life of a link (open, fill, handshakes, frames, reconcile,
// flush, close, open again) and fails each persisting step of either end in
// each mode, with and without a crash. The oracle is that of Model. Without
// QSC_LONG=1 it takes every thirteenth step, others for each mode.
func Matrix(t *testing.T, open Opener) {
	stride := int64(13)
	if os.Getenv("QSC_LONG") != "" {
		stride = 1
	}
	for end := range 2 {
		for _, mode := range durable.Modes() {
			for _, crash := range []bool{false, true} {
				t.Run(fmt.Sprintf("end=%d,%v,crash=%v", end, mode, crash), func(t *testing.T) {
					step := 1 + int64(mode)%stride
					for life(t, open, end, durable.Plan{Step: step, Mode: mode, Crash: crash}) {
						step += stride
					}
				})
			}
		}
	}
}

// life reports whether the planned step was reached.
func life(t *testing.T, open Opener, end int, p durable.Plan) bool {
	m := &model{t: t, r: rand.New(rand.NewPCG(uint64(p.Step), uint64(end))), open: open, calm: true}
	m.planned[end] = p
	m.begin()
	first := m.end[end].faults
	for round := range 3 {
		m.produce()
		m.repair()
		m.reconnect(round == 1)
		for range 3 {
			for i := range m.end {
				m.repair()
				m.send(i)
				m.send(i)
				m.repair()
				m.deliver()
			}
		}
		m.repair()
		m.flush(end)
		m.repair()
		m.restart(end, false)
	}
	reached := first.Steps() >= p.Step || first != m.end[end].faults && first.Crashed()
	m.finish()
	return reached
}

// repair restarts an end that the planned fault has killed.
func (m *model) repair() {
	for i, e := range m.end {
		if e.faults.Crashed() {
			m.restart(i, true)
		}
	}
}
