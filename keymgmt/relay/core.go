package relay

import (
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// core is the relay of one node as a pure state machine: no clock, no goroutine,
// no I/O, and no byte of key. What is key to it is an opaque handle (any) that
// came with an event and goes back with a job. Its state is three tables: rounds
// asked for here, legs of others' rounds that pass or end here, and the rounds
// those that end here belong to.
type core struct {
	self   qsc.NodeID
	hop    bool // rounds asked for here are hop-by-hop
	bounds bounds

	ref  uint64         // last name given to a leg
	job  uint64         // last job
	jobs map[uint64]any // under way: *leg, *round, *origin, originReserve or orphan
	seq  uint64         // age of legs and rounds: larger is younger
	tick uint64

	origins map[roundID]*origin
	legs    map[legKey]*leg
	byNode  map[qsc.NodeID]load // of legs
	total   load
	rounds  map[ident]*round
	recent  recent[legKey]
	ends    recent[ident] // rounds that were decided, or given up

	status keymgmt.RelayStatus
	out    effects // of the step under way
}

// bounds of what neighbours can make a node keep.
type bounds struct {
	legs, neighbourLegs   int
	bytes, neighbourBytes int
	rounds                int
	ticks                 uint64 // a leg or round is dropped when it saw so many
}

var defaultBounds = bounds{legs: 512, neighbourLegs: 256, bytes: 64 << 20, neighbourBytes: 24 << 20, rounds: 256, ticks: 2}

// legKey names a leg on the node after its first: the neighbour that ordered it
// and the name it gave it.
type legKey struct {
	From qsc.NodeID
	Ref  uint64
}

// ident names a round in the whole network.
type ident struct {
	Source qsc.NodeID
	ID     roundID
}

func newCore(self qsc.NodeID, hop bool, ref uint64, b bounds) *core {
	return &core{self: self, hop: hop, bounds: b, ref: ref, jobs: map[uint64]any{},
		origins: map[roundID]*origin{}, legs: map[legKey]*leg{}, byNode: map[qsc.NodeID]load{}, rounds: map[ident]*round{}}
}

// step takes one event and returns what is to be done.
func (c *core) step(ev any) effects {
	c.out = effects{}
	switch e := ev.(type) {
	case evStart:
		c.start(e)
	case evCancel:
		c.cancel(e)
	case evMessage:
		c.receive(e.From, e.Msg)
	case evLost:
		c.lost(e.Nak)
	case evTick:
		c.age()
	default:
		c.jobEnded(ev)
	}
	return c.out
}

// receive takes a message that parse accepted.
func (c *core) receive(from qsc.NodeID, m *message) {
	switch m.Type {
	case typeOrder:
		if m.from(from, 1) && m.at(c.self) {
			c.order(from, m)
		}
	case typeAnnounce:
		c.announced(legKey{from, m.Ref}, m)
	case typeAck, typeNak:
		if m.from(from, -1) && m.at(c.self) {
			c.back(m)
		}
	case typeTell:
		if m.from(from, 1) && m.at(c.self) {
			c.tell(m)
		}
	case typeVoid:
		c.do(jobBurn{from, m.In})
	}
}

// at reports whether the message is for this node at this place of its route.
func (m *message) at(self qsc.NodeID) bool { return m.Route[m.At] == self }

// from reports whether it came from the node before it on the route (step 1) or
// behind it (step -1).
func (m *message) from(peer qsc.NodeID, step int) bool {
	i := int(m.At) - step
	return i >= 0 && i < len(m.Route) && m.Route[i] == peer
}

// tell passes a public message on, or hands it out.
func (c *core) tell(m *message) {
	if int(m.At) == m.Route.Hops() {
		c.out.Told = append(c.out.Told, told{m.Route[0], m.Topic, m.Public})
		return
	}
	on := *m
	on.At++
	on.Public = append([]byte(nil), m.Public...)
	c.send(on.Route[on.At], &on, nil)
}

// back passes an answer on towards the source, or takes it there.
func (c *core) back(m *message) {
	if m.At > 0 {
		on := *m
		on.At--
		c.send(on.Route[on.At], &on, nil)
		return
	}
	if m.Type == typeNak {
		c.originNak(m)
	} else {
		c.originAck(m)
	}
}

// nak answers for a leg that cannot go on from node me of its route; me 0 is
// the source, which takes it as it would from others.
func (c *core) nak(m *message, me int, kind qsc.Kind) {
	c.lost(nakOf(m, me, kind))
}

// lost sends a nak from where it arose.
func (c *core) lost(nak *message) {
	on := *nak
	if on.At == 0 {
		c.originNak(&on)
		return
	}
	on.At--
	c.send(on.Route[on.At], &on, nil)
}

// nakOf is the nak that node me of m's route would start.
func nakOf(m *message, me int, kind qsc.Kind) *message {
	return &message{Type: typeNak, ID: m.ID, Path: m.Path, At: uint8(me), Route: m.Route, Kind: kind}
}

func (c *core) send(to qsc.NodeID, m, lost *message) {
	c.out.Sends = append(c.out.Sends, send{to, m, lost})
}

func (c *core) do(job any) { c.out.Jobs = append(c.out.Jobs, job) }

func (c *core) drop(handles ...any) {
	for _, h := range handles {
		if h != nil {
			c.out.Drops = append(c.out.Drops, h)
		}
	}
}

// newJob names a job and whose it is.
func (c *core) newJob(owner any) uint64 {
	c.job++
	c.jobs[c.job] = owner
	return c.job
}

// orphan is what remains of the owner of a job when the owner is gone: what the
// job still uses, to be given up when it ends.
type orphan struct {
	handles []any
	peer    qsc.NodeID // of a jobReserve
}

// abandon leaves a job to itself.
func (c *core) abandon(job uint64, o orphan) {
	if job != 0 {
		c.jobs[job] = o
	}
}

// ended returns whose job it was, and forgets it.
func (c *core) ended(job uint64) any {
	owner := c.jobs[job]
	delete(c.jobs, job)
	return owner
}

// jobEnded gives the end of a job to its owner. What an orphan yields is given
// up.
func (c *core) jobEnded(ev any) {
	switch e := ev.(type) {
	case evReserved:
		c.reserved(e)
	case evSealed:
		if o, ok := c.ended(e.Job).(*origin); ok {
			c.originSealed(o, e)
		} else {
			c.drop(e.Key)
		}
	case evChecked:
		switch o := c.ended(e.Job).(type) {
		case *origin:
			c.originChecked(o, e)
		case orphan:
			c.drop(o.handles...)
		}
	case evAnnounced:
		if l, ok := c.ended(e.Job).(*leg); ok {
			c.betweenAnnounced(l, e)
		}
	case evTaken:
		if l, ok := c.ended(e.Job).(*leg); ok {
			c.farTaken(l, e)
		} else {
			c.drop(e.Key)
		}
	case evFolded:
		switch o := c.ended(e.Job).(type) {
		case *leg:
			c.folded(o)
		case orphan:
			c.drop(o.handles...)
		}
	case evVerified:
		switch o := c.ended(e.Job).(type) {
		case *round:
			c.verified(o, e)
		case orphan:
			c.drop(append(o.handles, e.Key)...)
		}
	case evAccepted:
		if r, ok := c.ended(e.Job).(*round); ok {
			c.accepted(r, e)
		}
	}
}

func (c *core) reserved(e evReserved) {
	owner := c.ended(e.Job)
	switch o := owner.(type) {
	case originReserve:
		c.void(o.o.Paths[o.i][1], e.Void)
		c.originReserved(o.o, o.i, e)
	case *leg:
		c.void(o.next(), e.Void)
		c.betweenReserved(o, e)
	case orphan:
		c.drop(e.Pads)
		c.void(o.peer, append(e.Void, e.Out...))
	}
}
