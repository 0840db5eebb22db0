package keys

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

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

func long() bool { return os.Getenv("QSC_LONG") != "" }

// world is a network, what has been drawn from it and what was done to it.
type world struct {
	*network
	seed      uint64
	oracle    *oracle
	workers   []*worker
	intruders map[qsc.AppID]*etsi014.Client

	mu        sync.Mutex
	diary     []string
	kills     map[qsc.NodeID]int64
	active    int // faults at work
	struck    int
	deaths    int
	lastFault time.Time
	recovered []time.Duration // after each round: until every flow had key again
}

func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if os.Getenv("QSC_LOG") != "" {
		fmt.Fprintln(os.Stderr, time.Now().Format("05.000"), line)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.diary = append(w.diary, line)
}

// fatal ends the test with the way to see it again.
func (w *world) fatal(format string, args ...any) {
	w.T.Helper()
	w.mu.Lock()
	last := strings.Join(w.diary[max(0, len(w.diary)-40):], "\n")
	w.mu.Unlock()
	text := w.Tell()
	w.Dump()
	w.T.Fatalf("%s\nQSC_SEED=%d shows the same plan again; what was done last:\n%s%s", fmt.Sprintf(format, args...), w.seed, last, text)
}

func (w *world) intruder(id qsc.AppID) *etsi014.Client { return w.intruders[id] }

func newWorld(t *testing.T, kind string, seed uint64, perFlow int) *world {
	w := &world{network: open(t, kind), seed: seed, oracle: newOracle(), intruders: map[qsc.AppID]*etsi014.Client{}, kills: map[qsc.NodeID]int64{}}
	w.employ(perFlow)
	return w
}

// employ makes so many workers for each flow, and the clients of intruders.
func (w *world) employ(perFlow int) {
	w.T.Logf("QSC_SEED=%d", w.seed)
	for _, a := range homes {
		w.intruders[a.id] = w.clientOf(a.id)
	}
	for i := range flows {
		for j := range perFlow {
			w.workers = append(w.workers, w.worker(i, rand.New(rand.NewPCG(w.seed, uint64(1000+100*i+j)))))
		}
	}
}

// No key ID and no key bit goes to two pairs or twice to one end, whatever
// happens to nodes, links and answers; and after every recovery there is key.
func TestNoKeyTwice(t *testing.T) {
	t.Parallel()
	if long() {
		underFaults(newWorld(t, simulated, seed(t), 2), 10_000_000, 100)
		return
	}
	underFaults(newWorld(t, simulated, seed(t), 2), 100_000, 6)
}

// The same on couriered key, with an operator who brings more of it.
func TestNoKeyTwiceOfACourier(t *testing.T) {
	t.Parallel()
	total, quota := int64(20_000), 3
	if long() {
		total, quota = 10_000_000, 100
	}
	w := newWorld(t, couriered, seed(t), 2)
	defer w.courier()()
	underFaults(w, total, quota)
}

// underFaults draws so many keys in rounds.
func underFaults(w *world, total int64, quota int) {
	w.T.Helper()
	w.recovery(-1)
	began := time.Now()
	for i := 0; w.oracle.totals().issued < total; i++ {
		w.round(i, quota)
	}
	w.finish()
	w.report(time.Since(began))
}

// work has every worker draw its quota.
func (w *world) work(quota int) {
	w.T.Helper()
	wrong := make([]error, len(w.workers))
	var working sync.WaitGroup
	for j, k := range w.workers {
		working.Go(func() {
			for n := 0; n < quota && wrong[j] == nil; n++ {
				wrong[j] = k.step(w.T.Context())
			}
		})
	}
	working.Wait()
	for _, err := range wrong {
		if err != nil {
			w.fatal("%v", err)
		}
	}
}

// round has every worker draw its quota while faults strike, then repairs and
// looks.
func (w *world) round(i, quota int) {
	faults := w.planFaults(i, int64(quota))
	w.note("round %d: %v", i, w.oracle.totals())
	done := make(chan struct{}) // all workers have ended
	var striking, healing sync.WaitGroup
	for _, f := range faults {
		at := w.Prog.After(f.on, f.n)
		striking.Go(func() { w.inflict(f, at, done) })
	}
	healed := make(chan struct{})
	healing.Go(func() { w.heal(healed) })
	defer w.Prog.Forget()
	w.work(quota)
	close(done)
	striking.Wait()
	close(healed)
	healing.Wait()
	w.revive()
	w.recovery(i)
}

// heal starts what was left dead for a while: no work ends before.
func (w *world) heal(until <-chan struct{}) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-until:
			return
		case <-tick.C:
			for _, id := range nodes {
				if w.Fleet.PID(id) == 0 && w.calmNow() {
					_ = w.StartNode(id) // revive says what is wrong
				}
			}
		}
	}
}

func (w *world) calmNow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active == 0
}

// revive starts what is down and joins what is apart.
func (w *world) revive() {
	w.T.Helper()
	for _, id := range nodes {
		if w.Fleet.PID(id) == 0 {
			if err := w.StartNode(id); err != nil {
				w.fatal("node %s does not start again: %v", id, err)
			}
		}
	}
	w.Linked()
}

// recovery draws and fetches for every flow, within patience, and looks at the
// books and at the oracles.
func (w *world) recovery(round int) {
	w.T.Helper()
	began := time.Now()
	var all sync.WaitGroup
	wrong := make([]error, len(w.workers))
	for j, k := range w.workers {
		all.Go(func() {
			b, err := k.draw(w.T.Context())
			drawn := time.Since(began)
			if err == nil {
				err = k.fetch(w.T.Context(), b)
			}
			if took := time.Since(began); took > time.Second {
				w.note("  %v drew after %v and fetched after %v", k.f, drawn.Round(time.Millisecond), took.Round(time.Millisecond))
			}
			if err == nil && k.chance(3) {
				err = k.fetchLate(w.T.Context())
			}
			wrong[j] = err
		})
	}
	all.Wait()
	for _, err := range wrong {
		if err != nil {
			w.fatal("after round %d: %v", round, err)
		}
	}
	w.recovered = append(w.recovered, time.Since(began))
	w.accounts()
	w.oracles()
}

// accounts checks that every book closes.
func (w *world) accounts() {
	w.T.Helper()
	for _, id := range nodes {
		s := w.Status(id)
		if !s.Keys.Balanced {
			w.fatal("%s: the account of end-to-end key does not balance: %+v", id, s.Keys)
		}
		for _, l := range s.Links {
			if !l.Balanced {
				w.fatal("%s: the account of link %s does not balance: %+v %+v %+v %+v", id, l.ID, l.Send, l.Recv, l.SendSlots, l.RecvSlots)
			}
		}
	}
}

// oracles fails on what was found so far.
func (w *world) oracles() {
	w.T.Helper()
	if f := w.oracle.fault(); f != "" {
		w.fatal("%s", f)
	}
	if f := w.Fault(); f != "" {
		w.fatal("%s", f)
	}
}

// finish fetches all that is left.
func (w *world) finish() {
	for _, k := range w.workers {
		if err := k.fetchLate(w.T.Context()); err != nil {
			w.fatal("at the end: %v", err)
		}
	}
	w.accounts()
	w.oracles()
}

// books sums up the accounts of all nodes.
func (w *world) books() (keys, pads keymgmt.Account) {
	w.T.Helper()
	for _, id := range nodes {
		s := w.Status(id)
		sum(&keys, keymgmt.Account{Produced: s.Keys.Produced, Used: s.Keys.Used, Burnt: s.Keys.Burnt, Left: s.Keys.Left})
		for _, l := range s.Links {
			sum(&pads, l.Send)
			sum(&pads, l.Recv)
		}
	}
	return keys, pads
}

// Most that a fault may burn, on the average, in bytes at both ends: end-to-end
// key of rounds under way, and marks made ahead; pads of the links of a node.
const (
	keyOfFault = 2 << 20
	padOfFault = 8 << 20
)

// report logs the figures of the run and holds them to what a fault may burn.
func (w *world) report(took time.Duration) {
	w.T.Helper()
	keys, pads := w.books()
	slices.Sort(w.recovered)
	n := len(w.recovered)
	w.T.Logf("%v in %v; %d faults, %d kills", w.oracle.totals(), took.Round(time.Millisecond), w.struck, w.deaths)
	w.T.Logf("end-to-end key, both ends: %s", w.burnt(keys))
	w.T.Logf("pads of links, both ends: %s; %s", w.burnt(pads), w.Pads.Counts())
	w.T.Logf("key for every flow after a round: median %v, longest %v", w.recovered[n/2].Round(time.Millisecond), w.recovered[n-1].Round(time.Millisecond))
	if f := int64(w.struck); keys.Burnt > keys.Used/1000+f*keyOfFault || pads.Burnt > pads.Used/1000+f*padOfFault {
		w.T.Error("the faults burnt more than they may")
	}
}

func sum(to *keymgmt.Account, a keymgmt.Account) {
	to.Produced, to.Used, to.Burnt, to.Left = to.Produced+a.Produced, to.Used+a.Used, to.Burnt+a.Burnt, to.Left+a.Left
}

func (w *world) burnt(a keymgmt.Account) string {
	return fmt.Sprintf("%d bytes made, %d used, %d left, %d burnt: %.3f %% of what was spent, %d a fault", a.Produced, a.Used, a.Left, a.Burnt,
		100*float64(a.Burnt)/float64(max(1, a.Burnt+a.Used)), a.Burnt/int64(max(1, w.struck)))
}
