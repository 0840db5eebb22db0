package crash

import (
	"math/rand/v2"
	"os"
	"strconv"
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
// byte serves twice, no secret is seen.
func TestCrashLoop(t *testing.T) {
	loop(t, preshared, rounds(50, 1000))
}

// The same over links that make their key.
func TestCrashLoopOverSimulatedLinks(t *testing.T) {
	loop(t, simulated, rounds(10, 200))
}

func loop(t *testing.T, kind string, n int) {
	w := &world{network: open(t, kind), seed: seed(t), model: newModel()}
	t.Logf("QSC_SEED=%d", w.seed)
	for _, p := range w.taps {
		p.forbid(mark)
	}
	for i := range n {
		w.provision(3<<20, 4<<20)
		w.round(i)
		if i%10 == 9 {
			w.verify()
		}
	}
	w.verify()
	w.oneDown()
	files, size := scanDisk(t, w.fleet.Dir(), mark)
	t.Logf("%d kills, %d cuts, %d couriers killed; %s; %d files of %d bytes searched", w.kills, w.cuts, w.shot, w.pads.counts(), files, size)
}

// oneDown reads everything with each site gone.
func (w *world) oneDown() {
	w.t.Helper()
	for _, id := range sites {
		w.kill(id)
		w.readAll()
		w.revive(false)
	}
	w.accounts()
	w.oracles()
}
