package sim

import (
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Sizes in bytes, as in keymgmt/supply.
const (
	keyBytes  = 32
	slot      = keyBytes + 8 // a key and the mask of its identifier's tag
	check     = 32           // of a round's key, for its check
	segmentLo = 64 * slot
	segmentHi = 1600 * slot
	issueMark = 8 // slots that one durable mark covers
	maxBatch  = 128
)

// flow is the stream of key from one node to another: what keymgmt/supply keeps
// for the pairs of applications that these nodes serve.
type flow struct {
	flowKey
	paths    [][]hop
	given    []keymgmt.Path // the same, in the controller's words
	disjoint bool
	pace     float64 // bytes a second that the controller grants
	priority int
	use      float64 // keys a second, on average
	batch    int     // largest request

	near    []segment              // at the master's node, oldest first
	far     map[uint32]*farSegment // at the slave's node
	nextSeq uint32
	making  int64 // slots on their way
	open    int   // rounds on their way
	tokens  float64
	filled  time.Duration // when tokens were last added
	waiting []waiter

	top      uint64 // oracle: highest slot ever issued, 1 + seq<<32|slot
	brokenAt time.Duration
	broken   int32
}

type hop struct {
	link int32
	dir  int8 // the end that sends
}

// segment is key that both nodes have, as the master's sees it.
type segment struct {
	seq   uint32
	size  int32 // slots
	next  int32 // the next to issue
	mark  int32 // durable: below it everything counts as issued
	named uint64
}

// farSegment is the slave's copy.
type farSegment struct {
	size    int32
	out     int32 // runs of slots that are issued and not yet fetched
	done    bool  // the master's node has nothing left of it
	fetched []uint64
	named   uint64
	shared  bool // the master's node has stored it too, and remembers that
}

type pair struct {
	flow  int32
	every float64 // mean time between requests in ns
	batch int
}

type waiter struct {
	at    time.Duration
	batch int
}

// round is one run of the relay.
type round struct {
	flow     int32
	slots    int32
	boots    [2]uint64 // of source and destination when it began
	paths    []trip
	need     int
	seq      uint32
	named    uint64
	took     time.Duration
	disjoint bool
}

// trip is one path's stretches of key.
type trip struct {
	hops []hop
	pos  []int64
	dead bool
}

const (
	lightKm   = 5 * time.Microsecond   // per km of fibre
	perHop    = 200 * time.Microsecond // software
	timeout   = 2 * time.Second        // of a round
	stockFor  = 20 * time.Minute       // of the busiest hour's use: below it, key is made
	fillFor   = 3                      // times as much is what is made then
	openLimit = 4                      // rounds of a flow on their way
)

// stock starts rounds until enough key is there or on its way.
func (w *world) stock(i int32) {
	f := &w.flows[i]
	have := f.ready() + f.making
	low := max(int64(f.use*demandMax*stockFor.Seconds()), int64(2*f.batch)) + f.owed()
	if have >= low {
		return
	}
	for high := fillFor * low; have < high && f.open < openLimit; {
		size := int32(min(max(high-have, segmentLo/slot), segmentHi/slot))
		if !w.grant(f, int64(size)) {
			return
		}
		if !w.begin(i, size) {
			return
		}
		have += int64(size)
	}
}

// grant keeps a flow to the rate that the controller gave it.
func (w *world) grant(f *flow, slots int64) bool {
	f.tokens = min(f.tokens+(w.now-f.filled).Seconds()*f.pace, max(f.pace*3600, segmentHi))
	f.filled = w.now
	if f.tokens <= 0 || len(f.paths) == 0 || !w.nodes[f.from].up {
		return false
	}
	f.tokens -= float64(slots * slot)
	return true
}

func (f *flow) ready() (n int64) {
	for _, s := range f.near {
		n += int64(s.size - s.next)
	}
	return n
}

func (f *flow) owed() (n int64) {
	for _, q := range f.waiting {
		n += int64(q.batch)
	}
	return n
}

// begin reserves a round's key on every path, as the orders do on their way.
func (w *world) begin(i, size int32) bool {
	f := &w.flows[i]
	r := round{flow: i, slots: size, boots: [2]uint64{w.nodes[f.from].boots, w.nodes[f.to].boots}, need: need(f.p, len(f.paths)), seq: f.nextSeq, disjoint: f.disjoint}
	f.nextSeq++
	n := (int64(size)*slot + check + 15) &^ 15
	alive := 0
	for _, p := range f.paths {
		t, took := w.reserve(p, n)
		if !t.dead {
			alive++
		}
		r.paths = append(r.paths, t)
		r.took = max(r.took, took)
	}
	id := w.keep(r)
	f.open++
	f.making += int64(size)
	if alive < r.need {
		w.plan(r.took, roundLost, id)
		return false
	}
	w.plan(r.took, roundArrives, id)
	return true
}

// need is how many of m paths must hold.
func need(p keymgmt.Protection, m int) int {
	if p.Need == 0 || p.Need > m {
		return m
	}
	return p.Need
}

// reserve takes n bytes on every link of a path, in order; where one has not
// enough, the path is dead and what was reserved before it is burnt.
func (w *world) reserve(p []hop, n int64) (t trip, took time.Duration) {
	t.hops = p
	for _, h := range p {
		l := &w.links[h.link]
		l.settle(w.now)
		a := &l.lanes[h.dir]
		took += time.Duration(l.spec.Distance*float64(lightKm)) + perHop
		pos, ok := a.reserve(n)
		if !ok || !l.up {
			t.dead = true
			if ok {
				t.pos = append(t.pos, pos)
			}
			w.burn(t, n)
			return t, took
		}
		if pos < a.taken {
			w.violate("link %s hands out key at %d again", l.spec.ID, pos)
		}
		a.taken = pos + n
		t.pos = append(t.pos, pos)
	}
	return t, took
}

// burn books a trip's key as burnt instead of used.
func (w *world) burn(t trip, n int64) {
	for k := range t.pos {
		a := &w.links[t.hops[k].link].lanes[t.hops[k].dir]
		a.used -= n
		a.burnt += n
	}
}

func (w *world) keep(r round) int32 {
	if n := len(w.spare); n > 0 {
		id := w.spare[n-1]
		w.spare = w.spare[:n-1]
		w.rounds[id] = r
		return id
	}
	w.rounds = append(w.rounds, r)
	return int32(len(w.rounds) - 1)
}

// roundArrives is the moment at which the destination has all announcements.
func (w *world) roundArrives(id int32) {
	r := &w.rounds[id]
	f := &w.flows[r.flow]
	var source, dest uint64
	alive := 0
	for j := range r.paths {
		t := &r.paths[j]
		if !t.dead && !w.passes(t) {
			t.dead = true
			w.burn(*t, (int64(r.slots)*slot+check+15)&^15)
		}
		if t.dead {
			w.rep.LostPaths++
			continue
		}
		alive++
		s, d := w.names(t)
		source, dest = source^mix(s+uint64(j)), dest^mix(d+uint64(j))
	}
	if alive < r.need || w.nodes[f.to].boots != r.boots[1] || !w.nodes[f.to].up {
		w.plan(timeout, roundLost, id)
		return
	}
	// The destination stores before it acknowledges.
	f.far[r.seq] = &farSegment{size: r.slots, fetched: make([]uint64, (r.slots+63)/64), named: dest}
	r.named = source
	w.plan(r.took, roundAcked, id)
}

// passes reports whether every node and link of a path was there all the while.
func (w *world) passes(t *trip) bool {
	for k, h := range t.hops {
		l := &w.links[h.link]
		if !l.up || k > 0 && !w.nodes[l.ends[h.dir]].up {
			return false
		}
	}
	return true
}

// names follows the XORs of the announce form: the source's key is the first
// link's, the destination's the last link's and all announcements.
func (w *world) names(t *trip) (source, dest uint64) {
	at := func(k int) uint64 { return w.links[t.hops[k].link].name(int(t.hops[k].dir), t.pos[k]) }
	last := len(t.hops) - 1
	dest = at(last)
	for k := range last {
		dest ^= at(k) ^ at(k+1)
	}
	return at(0), dest
}

// roundAcked is the moment at which the source knows, stores, and may issue.
func (w *world) roundAcked(id int32) {
	r := w.rounds[id]
	if w.nodes[w.flows[r.flow].from].boots != r.boots[0] {
		w.roundLost(id) // the destination's copy goes when the two compare
		return
	}
	w.over(id)
	f := &w.flows[r.flow]
	f.near = append(f.near, segment{seq: r.seq, size: r.slots, named: r.named})
	f.far[r.seq].shared = true
	w.rep.Rounds++
	for _, t := range r.paths {
		w.hopSum += float64(len(t.hops)) / float64(len(r.paths))
	}
	if r.disjoint {
		w.parts++
	}
	w.serve(r.flow)
	w.stock(r.flow)
}

func (w *world) roundLost(id int32) {
	r := w.rounds[id]
	w.rep.Failed++
	w.over(id)
	for _, t := range r.paths {
		if !t.dead {
			w.burn(t, (int64(r.slots)*slot+check+15)&^15)
		}
	}
}

func (w *world) over(id int32) {
	r := &w.rounds[id]
	f := &w.flows[r.flow]
	if w.nodes[f.from].boots == r.boots[0] {
		f.open--
		f.making -= int64(r.slots)
	}
	r.paths = nil
	w.spare = append(w.spare, id)
}

// crash forgets what the master's node had in memory only.
func (f *flow) crash(w *world) {
	f.open, f.making, f.waiting, f.tokens = 0, 0, nil, 0
	for i := range f.near {
		s := &f.near[i]
		w.rep.KeysBurnt += int64(s.mark - s.next)
		s.next = s.mark
	}
}

// sync compares the two nodes' segments after the master's came back: what only
// one of them has is burnt.
func (f *flow) sync(w *world) {
	for seq, s := range f.far {
		if !s.shared {
			w.rep.KeysBurnt += int64(s.size)
			delete(f.far, seq)
		}
	}
}

// wait is a client's patience.
const wait = 30 * time.Second

func seconds(d time.Duration) float64 { return math.Max(0, d.Seconds()) }
