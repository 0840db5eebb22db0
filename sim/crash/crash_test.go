package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

type objectState = admin.Object

func seed(t testing.TB) uint64 {
	if s := os.Getenv("QSC_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal("QSC_SEED is no number")
		}
		return n
	}
	return rand.Uint64()
}

func rounds(short, long int) int {
	if os.Getenv("QSC_LONG") != "" {
		return long
	}
	return short
}

// Real processes are killed at any moment; nothing acknowledged is lost, no pad
// byte serves twice, no secret is seen. Two networks run side by side, for most
// of a round is spent waiting.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	first := seed(t)
	for i := range uint64(2) {
		t.Run(fmt.Sprint("network ", i), func(t *testing.T) {
			t.Parallel()
			loop(t, preshared, first, i, rounds(25, 500))
		})
	}
	t.Run("simulated links", func(t *testing.T) {
		t.Parallel()
		loop(t, simulated, first, 2, rounds(10, 200))
	})
}

// loop runs n rounds of one of the networks that share a seed.
func loop(t *testing.T, kind string, seed, which uint64, n int) {
	w := &world{network: open(t, kind), seed: seed, which: which, model: newModel()}
	t.Logf("QSC_SEED=%d", w.seed)
	for _, p := range w.Taps {
		p.Forbid(mark)
	}
	done := make(chan struct{})
	var supply sync.WaitGroup
	supply.Go(func() { w.keepSupplied(done) })
	defer supply.Wait()
	defer close(done)
	for i := range n {
		w.round(i)
		if i%12 == 11 {
			w.verify()
		}
	}
	w.verify()
	w.oneDown()
	files, size := scanDisk(t, w.Fleet.Dir(), mark)
	t.Logf("%d kills, %d cuts, %d couriers killed; %s; %d files of %d bytes searched", w.kills, w.cuts, w.shot, w.Pads.Counts(), files, size)
}

// oneDown reads everything with each site gone.
func (w *world) oneDown() {
	w.T.Helper()
	for _, id := range sites {
		w.Kill(id)
		w.readAll()
		w.revive(false)
	}
	w.accounts()
	w.oracles()
}
