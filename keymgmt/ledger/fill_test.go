package ledger

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// A block that never came (a courier was robbed) leaves a slot free. The block
// that belongs there one round later must not overtake those before it: they
// would count as lost, at this end only.
func TestNoBlockOvertakes(t *testing.T) {
	const blocks = 21
	s := &keymgmttest.Stock{Link: "x", Block: testBlock}
	for i := range uint64(blocks) {
		if i != 3 {
			s.Add(keymgmt.SeqOf(keymgmt.DataAB, i))
		}
	}
	l, err := Open(testConfig(durable.Mem(1<<22), s))
	must(t, err)
	defer l.Close()
	for {
		pad, err := l.Reserve(t.Context(), keymgmt.Data, 1000, 1<<16)
		if qsc.IsKind(err, qsc.Exhausted) {
			break
		}
		must(t, err)
		must(t, pad.Burn())
	}
	if got, want := l.Status().Lanes[keymgmt.DataAB].Produced, (blocks-1)*keymgmt.PadSize(testBlock); got != want {
		t.Errorf("%d of %d bytes of pad came into the ring: blocks were dropped", got, want)
	}
}
