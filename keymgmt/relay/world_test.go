package relay

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// world performs the effects of many cores on ledgers in memory, and remembers
// every byte of key that is used. The simulation, the transcripts and the rank
// proof drive it.
type world struct {
	t     testing.TB
	nodes map[qsc.NodeID]*actor
	lanes map[[2]qsc.NodeID]*simLane
	// fresh makes the key of a stretch when it is reserved.
	fresh func(from, to qsc.NodeID, n int) []byte
	// fails says why a job fails, Other if it does not.
	fails func(who qsc.NodeID, job any) qsc.Kind
	// public sees every message as it is sent.
	public func(from, to qsc.NodeID, m *message)
	asked  map[ident]*asked
}

// asked is a round as the oracle sees it.
type asked struct {
	ends    []ending
	key     []byte         // of the source
	accepts map[uint64]int // by boot of the far end: one that crashed may be asked again
	far     []byte
}

// actor is one node.
type actor struct {
	id    qsc.NodeID
	core  *core
	boot  uint64
	made  uint64
	subs  []qsc.Secret // handed out and to be wiped in the end
	pads  []*simPads   // likewise, to be spent
	sinks func(keymgmt.Delivery) error
	told  []told
}

// simPads is a handle of reserved key.
type simPads struct {
	key   []byte
	spent bool
}

// use spends a handle, once.
func (w *world) use(h any) []byte {
	p := h.(*simPads)
	if p.spent {
		w.t.Error("key that was reserved is used twice")
	}
	p.spent = true
	return bytes.Clone(p.key)
}

// simLane is the key from one node to another.
type simLane struct {
	key      []byte
	reserved []bool
	consumed []bool
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, nodes: map[qsc.NodeID]*actor{}, lanes: map[[2]qsc.NodeID]*simLane{}, asked: map[ident]*asked{}}
	w.fails = func(qsc.NodeID, any) qsc.Kind { return qsc.Other }
	w.public = func(qsc.NodeID, qsc.NodeID, *message) {}
	return w
}

// randomKey makes key that depends on who shares it and where it lies.
func randomKey(seed uint64) func(from, to qsc.NodeID, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 99))
	return func(_, _ qsc.NodeID, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
}

func (w *world) node(id qsc.NodeID) *actor {
	if w.nodes[id] == nil {
		w.nodes[id] = &actor{id: id}
		w.restart(id, false)
	}
	return w.nodes[id]
}

// restart gives a node an empty core, as a crash does.
func (w *world) restart(id qsc.NodeID, hop bool) {
	a := w.nodes[id]
	a.boot++
	a.subs, a.pads = nil, nil
	b := defaultBounds
	a.core = newCore(id, hop, a.boot<<32, b)
}

func (w *world) lane(from, to qsc.NodeID) *simLane {
	k := [2]qsc.NodeID{from, to}
	if w.lanes[k] == nil {
		w.lanes[k] = &simLane{}
	}
	return w.lanes[k]
}

// start asks for a round and returns its name and first effects.
func (w *world) start(paths []keymgmt.Path, need, n int) (ident, effects) {
	a := w.node(paths[0][0])
	a.made++
	e := evStart{To: paths[0][len(paths[0])-1], Paths: paths, Need: need, N: n, Label: "label"}
	binary.BigEndian.PutUint64(e.ID[:], a.boot)
	binary.BigEndian.PutUint64(e.ID[8:], a.made)
	id := ident{a.id, e.ID}
	e.Wait = id
	w.asked[id] = &asked{accepts: map[uint64]int{}}
	return id, w.step(a, e)
}

// step takes one step and performs what is no job and no message.
func (w *world) step(a *actor, ev any) effects {
	out := a.core.step(ev)
	for _, h := range out.Drops {
		w.drop(h)
	}
	for _, e := range out.Ends {
		as := w.asked[e.Wait.(ident)]
		as.ends = append(as.ends, e)
		if e.Kind == qsc.Other {
			k := e.Key.(*roundKey).take()
			as.key = bytes.Clone(k.Expose())
		}
	}
	for i := range out.Told {
		out.Told[i].Text = bytes.Clone(out.Told[i].Text)
	}
	a.told = append(a.told, out.Told...)
	return out
}

func (w *world) drop(h any) {
	switch h := h.(type) {
	case *simPads:
		h.spent = true
	case qsc.Secret:
		h.Zeroise()
	case *roundKey:
		h.wipe()
	default:
		w.t.Fatalf("a handle of type %T is given up", h)
	}
}

// perform does a job and returns its event.
func (w *world) perform(a *actor, job any) any {
	kind := w.fails(a.id, job)
	switch j := job.(type) {
	case jobReserve:
		if kind != qsc.Other {
			return evReserved{Job: j.Job, Kind: kind, Why: "dry"}
		}
		key, out := w.reserve(a.id, j.Peer, j.N)
		p := &simPads{key: key}
		a.pads = append(a.pads, p)
		return evReserved{Job: j.Job, Pads: p, Out: out, Cls: qsc.Simulated}
	case jobSeal:
		var subs []part
		for _, p := range j.Parts {
			subs = append(subs, part{Path: p.Path, Handle: qsc.NewSecret(w.use(p.Handle))})
		}
		return seal(j, subs)
	case jobAnnounce:
		out := w.use(j.Pads)
		in, ok := w.consume(j.Prev, a.id, j.In)
		if !ok || kind != qsc.Other {
			return evAnnounced{Job: j.Job, Kind: qsc.Conflict}
		}
		subtle.XORBytes(in, in, out)
		if j.Carried != nil {
			subtle.XORBytes(in, in, j.Carried)
		}
		return evAnnounced{Job: j.Job, Sum: in}
	case jobTake:
		in, ok := w.consume(j.Prev, a.id, j.In)
		if !ok || kind != qsc.Other {
			return evTaken{Job: j.Job, Kind: qsc.Conflict}
		}
		s := qsc.NewSecret(in)
		a.subs = append(a.subs, s)
		return evTaken{Job: j.Job, Key: s}
	case jobFold:
		into := j.Into
		if j.Key != nil {
			into = j.Key.(qsc.Secret).Expose()
		}
		subtle.XORBytes(into, into, j.Sum)
		return evFolded{j.Job}
	case jobVerify:
		return verify(j)
	case jobCheck:
		return evChecked{j.Job, j.Key.(*roundKey).ackTag(j.Ack) == j.Ack.Tag}
	case jobDeliver:
		return w.deliver(a, j)
	case jobBurn:
		w.consume(j.Prev, a.id, j.In)
		return nil
	}
	w.t.Fatalf("job of type %T", job)
	return nil
}

// reserve takes new key, in one part or two.
func (w *world) reserve(from, to qsc.NodeID, n int) ([]byte, []stretch) {
	l := w.lane(from, to)
	pos := len(l.key)
	l.key = append(l.key, w.fresh(from, to, n)...)
	l.reserved = append(l.reserved, make([]bool, n)...)
	l.consumed = append(l.consumed, make([]bool, n)...)
	for i := range l.reserved[pos:] {
		l.reserved[pos+i] = true
	}
	key := bytes.Clone(l.key[pos:])
	if n < 2*minPart || pos%3 == 0 {
		return key, []stretch{{Epoch: 1, Pos: uint64(pos), Len: uint32(n)}}
	}
	return key, []stretch{{Epoch: 1, Pos: uint64(pos), Len: minPart}, {Epoch: 1, Pos: uint64(pos + minPart), Len: uint32(n - minPart)}}
}

// consume takes the other copy of key, unless any byte of it was taken before.
func (w *world) consume(from, to qsc.NodeID, in []stretch) ([]byte, bool) {
	l := w.lane(from, to)
	var key []byte
	for _, s := range in {
		end := s.Pos + uint64(s.Len)
		if end > uint64(len(l.key)) || slices.Contains(l.consumed[s.Pos:end], true) || slices.Contains(l.reserved[s.Pos:end], false) {
			return nil, false
		}
		for i := s.Pos; i < end; i++ {
			l.consumed[i] = true
		}
		key = append(key, l.key[s.Pos:end]...)
	}
	return key, true
}

func (w *world) deliver(a *actor, j jobDeliver) any {
	if a.sinks != nil {
		if err := a.sinks(j.D); err != nil {
			j.Key.(*roundKey).wipe()
			return evAccepted{Job: j.Job, Kind: qsc.KindOf(err)}
		}
	}
	id := ident{j.D.From, w.roundOf(a, j.Job)}
	as := w.asked[id]
	if as == nil {
		w.t.Fatalf("%s accepts a round that nobody asked for", a.id)
	}
	as.accepts[a.boot]++
	k := j.Key.(*roundKey).take()
	if as.far != nil && !bytes.Equal(as.far, k.Expose()) {
		w.t.Errorf("%s accepts two keys for one round", a.id)
	}
	as.far = bytes.Clone(k.Expose())
	return evAccepted{Job: j.Job}
}

func (w *world) roundOf(a *actor, job uint64) roundID {
	for id, r := range a.core.rounds {
		if r.job == job {
			return id.ID
		}
	}
	w.t.Fatalf("%s delivers a round that its core does not know", a.id)
	return roundID{}
}

// wire is a message as the other end will see it.
func (w *world) wire(from, to qsc.NodeID, m *message) []byte {
	w.public(from, to, m)
	head, tail := m.encode()
	return slices.Concat(head, tail)
}

// judge holds a round against the oracle.
func (w *world) judge(id ident, as *asked) error {
	switch {
	case len(as.ends) > 1:
		return fmt.Errorf("round %x of %s ended %d times", id.ID, id.Source, len(as.ends))
	case as.key != nil && as.far == nil:
		return fmt.Errorf("round %x of %s was made, and the far end has no key", id.ID, id.Source)
	case as.key != nil && !bytes.Equal(as.key, as.far):
		return fmt.Errorf("round %x of %s: the ends have different keys", id.ID, id.Source)
	}
	for _, n := range as.accepts {
		if n > 1 {
			return fmt.Errorf("round %x of %s was accepted %d times", id.ID, id.Source, n)
		}
	}
	return nil
}
