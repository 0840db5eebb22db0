package keys

import (
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/node"
)

// While nothing fails, at most one byte in a thousand is burnt, of end-to-end key
// and of the links' pads. The links are couriered: a simulated one loses blocks at
// one end only, now and then, as devices do (docs/design/quantum.md). There is no
// controller: it would spread the courier's key over a day.
func TestCalmBurnsLittle(t *testing.T) {
	t.Parallel()
	total := int64(20_000)
	if long() {
		total = 1_000_000
	}
	w := newWorld(t, couriered, seed(t), 1)
	defer w.courier()()
	began := time.Now()
	for w.oracle.totals().issued < total {
		w.work(6)
	}
	w.finish()
	keys, pads := w.books()
	t.Logf("%v in %v", w.oracle.totals(), time.Since(began).Round(time.Millisecond))
	t.Logf("end-to-end key, both ends: %s", w.burnt(keys))
	t.Logf("pads of links, both ends: %s", w.burnt(pads))
	if keys.Burnt > keys.Used/1000 || pads.Burnt > pads.Used/1000 {
		w.fatal("more than 0.1 %% is burnt though nothing went wrong")
	}
	if n := w.oracle.totals().stranded; n > 0 {
		t.Errorf("%d keys were refused to their slaves", n)
	}
}

// courier sets an operator to work, until stop is called.
func (w *world) courier() (stop func()) {
	done := make(chan struct{})
	var carrying sync.WaitGroup
	carrying.Go(func() { w.carry(done) })
	return func() {
		close(done)
		carrying.Wait()
	}
}

// carry is an operator who brings key to the links before they run dry.
func (w *world) carry(done <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, id := range nodes {
			s, err := w.Client(id).Status(w.T.Context())
			if err != nil {
				continue
			}
			for _, l := range s.Links {
				// One direction may be dry while the stock is full of the other's.
				if l.Stock > 16<<20 && min(l.Send.Left, l.Recv.Left) > 3<<20 {
					continue
				}
				_, err := node.Provision(w.T.Context(), w.Fleet.Network(), w.Fleet.Dir(), l.ID, node.ProvisionOptions{Size: 24 << 20})
				if err != nil && !passes(err) && w.T.Context().Err() == nil {
					w.T.Error("provision: ", err)
				}
			}
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}
