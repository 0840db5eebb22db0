package relay

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// TestSimulation runs random networks in virtual time, each from one seed:
// messages are lost, doubled and reordered, links are cut, nodes crash at any
// step and come back, jobs fail, clocks jump. QSC_LONG=1 runs many more;
// QSC_SEED=n runs one.
func TestSimulation(t *testing.T) {
	seeds, first := 400, 0
	if os.Getenv("QSC_LONG") != "" {
		seeds = 40000
	}
	if s := os.Getenv("QSC_SEED"); s != "" {
		_, err := fmt.Sscan(s, &first)
		if err != nil {
			t.Fatal(err)
		}
		seeds = 1
	}
	made, rounds := 0, 0
	for seed := first; seed < first+seeds; seed++ {
		m, r := simulate(t, uint64(seed))
		made, rounds = made+m, rounds+r
		if t.Failed() {
			t.Fatalf("seed %d: run it again with QSC_SEED=%d", seed, seed)
		}
	}
	t.Logf("%d rounds, %d of them made", rounds, made)
	if seeds > 100 && (made < rounds/4 || made == rounds) {
		t.Errorf("%d of %d rounds were made: the simulation tests nothing", made, rounds)
	}
}

type sim struct {
	*world
	r     *rand.Rand
	now   int
	seq   int
	queue events
	calm  bool // no more faults
	rate  int  // one in so many things goes wrong
	hop   bool
	cut   map[[2]qsc.NodeID]int // until
	last  map[[2]qsc.NodeID]int // when the last message of a wire arrives
	gone  map[qsc.NodeID]bool   // crashed once: its handles are lost with it
	open  []ident
}

// event is something that happens at a node, if it has not crashed since.
type event struct {
	at, seq int
	who     qsc.NodeID
	boot    uint64 // 0: whatever the boot
	do      func(*actor)
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

const simTimeout = 400

// simulate runs one world and returns how many rounds were made, of how many.
func simulate(t *testing.T, seed uint64) (made, rounds int) {
	s := &sim{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 1)), cut: map[[2]qsc.NodeID]int{}, last: map[[2]qsc.NodeID]int{}, gone: map[qsc.NodeID]bool{}}
	s.fresh = randomKey(seed)
	s.rate = []int{1 << 30, 200, 60, 20}[s.r.IntN(4)]
	s.hop = s.r.IntN(6) == 0
	s.fails = func(qsc.NodeID, any) qsc.Kind {
		if s.fault() {
			return qsc.Exhausted
		}
		return qsc.Other
	}
	count := 1 + s.r.IntN(8)
	for range count {
		s.at(s.r.IntN(200), "", func(*actor) { s.ask() })
	}
	for range 20 {
		s.at(s.r.IntN(1500), "", func(*actor) { s.misfortune() })
	}
	s.run(3000)
	s.calm = true
	s.settle()
	for id, as := range s.asked {
		if err := s.judge(id, as); err != nil {
			t.Error(err)
		}
		if as.key != nil {
			made++
		}
	}
	return made, len(s.asked)
}

func (s *sim) fault() bool { return !s.calm && s.r.IntN(s.rate) == 0 }

func (s *sim) at(after int, who qsc.NodeID, do func(*actor)) {
	s.seq++
	e := event{at: s.now + after, seq: s.seq, who: who, do: do}
	if who != "" {
		e.boot = s.node(who).boot
	}
	heap.Push(&s.queue, e)
}

func (s *sim) run(until int) {
	for len(s.queue) > 0 && s.queue[0].at <= until {
		e := heap.Pop(&s.queue).(event)
		s.now = e.at
		if e.who == "" {
			e.do(nil)
		} else if a := s.nodes[e.who]; a.boot == e.boot {
			e.do(a)
		}
	}
	s.now = until
}

// ask starts a round over random paths.
func (s *sim) ask() {
	paths, need := s.paths()
	n := []int{1, 32, 100, 5000}[s.r.IntN(4)]
	from := paths[0][0]
	if s.nodes[from] == nil {
		s.node(from)
		s.restart(from, s.hop)
	}
	id, out := s.start(paths, need, n)
	s.open = append(s.open, id)
	s.effects(s.nodes[from], out)
	cancel := func(a *actor) { s.effects(a, s.step(a, evCancel{id.ID, qsc.Timeout, "late"})) }
	s.at(simTimeout, from, cancel)
	if s.fault() {
		s.at(s.r.IntN(simTimeout), from, cancel) // the caller goes away, or the clock jumps
	}
}

// paths makes up to four random simple paths between two nodes out of ten.
func (s *sim) paths() ([]keymgmt.Path, int) {
	order := s.r.Perm(10)
	name := func(i int) qsc.NodeID { return qsc.NodeID(fmt.Sprintf("n%d", i)) }
	m := 1 + s.r.IntN(4)
	var paths []keymgmt.Path
	for range m {
		between := order[2:]
		s.r.Shuffle(len(between), func(i, j int) { between[i], between[j] = between[j], between[i] })
		p := keymgmt.Path{name(order[0])}
		for _, i := range between[:s.r.IntN(6)] {
			p = append(p, name(i))
		}
		paths = append(paths, append(p, name(order[1])))
	}
	return paths, 1 + s.r.IntN(m)
}

// misfortune is what happens to nodes and links.
func (s *sim) misfortune() {
	if s.rate == 1<<30 || len(s.nodes) == 0 {
		return
	}
	var ids []qsc.NodeID
	for id := range s.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	a := s.nodes[ids[s.r.IntN(len(ids))]]
	b := ids[s.r.IntN(len(ids))]
	switch s.r.IntN(6) {
	case 0:
		if s.r.IntN(s.rate) < 5 {
			s.crash(a)
		}
	case 1, 2:
		s.cut[[2]qsc.NodeID{a.id, b}] = s.now + s.r.IntN(300)
	default:
		for range 1 + s.r.IntN(3) { // a clock that jumps
			s.effects(a, s.step(a, evTick{}))
		}
	}
}

// crash loses a node's memory. Its rounds end with it.
func (s *sim) crash(a *actor) {
	s.gone[a.id] = true
	for _, o := range a.core.origins {
		s.asked[o.Wait.(ident)].ends = []ending{{Kind: qsc.Unreachable}}
	}
	s.restart(a.id, s.hop)
}

// effects performs a step's jobs and sends, each at a time of its own. A crash
// may come between any two of them.
func (s *sim) effects(a *actor, out effects) {
	s.bounded(a)
	for _, m := range out.Sends {
		s.send(a, m)
	}
	for _, j := range out.Jobs {
		s.at(s.r.IntN(20), a.id, func(a *actor) {
			ev := s.perform(a, j)
			if s.fault() && s.r.IntN(4) == 0 {
				s.crash(a)
				return
			}
			if ev != nil {
				s.at(s.r.IntN(20), a.id, func(a *actor) { s.effects(a, s.step(a, ev)) })
			}
		})
	}
}

func (s *sim) send(a *actor, m send) {
	k := [2]qsc.NodeID{a.id, m.To}
	if s.cut[k] > s.now && !s.calm {
		if m.Lost != nil {
			s.at(s.r.IntN(10), a.id, func(a *actor) { s.effects(a, s.step(a, evLost{m.Lost})) })
		}
		return
	}
	text := s.wire(a.id, m.To, m.Msg)
	copies := 1
	switch {
	case s.fault():
		copies = 0
	case s.fault():
		copies = 2
	}
	s.node(m.To)
	for range copies {
		at := max(s.now+1+s.r.IntN(30), s.last[k])
		if s.fault() {
			at = s.now + 1 + s.r.IntN(100) // overtakes, or is overtaken
		}
		s.last[k] = at
		own := slices.Clone(text)
		s.at(at-s.now, m.To, func(b *actor) { s.arrive(a.id, b, own) })
	}
}

func (s *sim) arrive(from qsc.NodeID, b *actor, text []byte) {
	m, err := parse(text)
	if err != nil {
		s.t.Errorf("%s refuses what %s sent: %v", b.id, from, err)
		return
	}
	s.effects(b, s.step(b, evMessage{from, m}))
	clear(text) // the buffer is the carrier's again
}

// bounded checks that a core keeps to its bounds.
func (s *sim) bounded(a *actor) {
	c := a.core
	if len(c.legs) > c.bounds.legs || len(c.rounds) > c.bounds.rounds+deliveries || c.total.bytes > c.bounds.bytes+keymgmt.MaxRound*2 {
		s.t.Errorf("%s keeps %d legs, %d rounds, %d bytes", a.id, len(c.legs), len(c.rounds), c.total.bytes)
	}
	sum := load{}
	for _, l := range c.legs {
		sum = sum.plus(1, l.size)
	}
	if sum != c.total {
		s.t.Errorf("%s counts %v and keeps %v", a.id, c.total, sum)
	}
}

// settle lets all that is under way end, and checks that nothing is left.
func (s *sim) settle() {
	s.run(s.now + 2*simTimeout)
	for range 3 {
		for _, id := range s.names() {
			a := s.nodes[id]
			s.effects(a, s.step(a, evTick{}))
		}
		s.run(s.now + simTimeout)
	}
	for _, id := range s.names() {
		c := s.nodes[id].core
		if len(c.origins)+len(c.legs)+len(c.rounds)+len(c.jobs)+len(c.byNode) > 0 || c.total != (load{}) {
			s.t.Errorf("%s still has %d rounds of its own, %d legs, %d rounds, %d jobs, %v", id, len(c.origins), len(c.legs), len(c.rounds), len(c.jobs), c.total)
		}
		for _, sub := range s.nodes[id].subs {
			if slices.Max(sub.Expose()) != 0 {
				s.t.Errorf("%s forgot a sub-key without overwriting it", id)
			}
		}
	}
	for _, id := range s.names() {
		for _, p := range s.nodes[id].pads {
			if !p.spent {
				s.t.Errorf("%s forgot reserved key without burning it", id)
			}
		}
	}
	if s.rate == 1<<30 {
		for k, l := range s.lanes {
			if slices.Contains(l.consumed, false) {
				s.t.Errorf("nothing went wrong, and %s holds key that %s has used", k[1], k[0])
			}
		}
	}
	for _, id := range s.open {
		if len(s.asked[id].ends) != 1 {
			s.t.Errorf("a round of %s ended %d times", id.Source, len(s.asked[id].ends))
		}
	}
}

func (s *sim) names() []qsc.NodeID {
	var ids []qsc.NodeID
	for id := range s.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
