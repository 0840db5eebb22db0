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

// effects is what the runtime does after a step, in the order of the fields.
// Nothing in Sends rests on key that is not yet marked: a message that carries
// something made of key is only sent by the step that learns of the end of the
// job that reserved or consumed it, durably, and then made it.
type effects struct {
	// 1. Queue for the neighbours, in this order, before the next step is taken.
	Sends []send
	// 2. Give up handles: pads are burnt, buffers overwritten.
	Drops []any
	// 3. Work, each job ending in one event. A job persists first (Reserve marks
	// before it returns; View, then Consume, which marks), and then uses.
	Jobs []any
	// 4. Hand out public messages.
	Told []told
	// 5. Wake those who wait.
	Ends []ending
}

// send is a message to a neighbour. Lost, if set, is the step to take when the
// neighbour cannot be reached.
type send struct {
	To   qsc.NodeID
	Msg  *message
	Lost *message // a nak
}

// told is a message that ends here.
type told struct {
	From  qsc.NodeID
	Topic keymgmt.Topic
	Text  []byte
}

// ending ends the round of a waiting caller.
type ending struct {
	Wait any // of start
	Kind qsc.Kind
	Why  string
	Key  any // of sealed, when Kind is Other
	D    keymgmt.Delivery
}

// The jobs. N is in bytes.
type (
	// jobReserve takes key of the link to Peer: reserved.
	jobReserve struct {
		Job  uint64
		Peer qsc.NodeID
		N    int
	}
	// jobSeal makes the key of a round of its sub-keys: sealed.
	jobSeal struct {
		Job   uint64
		Terms terms
		Parts []part // Handle: of reserved
	}
	// jobAnnounce consumes In of the link to Prev and adds Pads: announced. With
	// Hop it adds Carried too, by way of the key in clear.
	jobAnnounce struct {
		Job     uint64
		Prev    qsc.NodeID
		In      []stretch
		Pads    any
		N       int
		Hop     bool
		Carried []byte
	}
	// jobTake consumes In of the link to Prev: taken.
	jobTake struct {
		Job  uint64
		Prev qsc.NodeID
		In   []stretch
		N    int
	}
	// jobFold adds Sum to an announcement (Into) or to a sub-key (Key): folded.
	jobFold struct {
		Job  uint64
		Into []byte
		Key  any
		Sum  []byte
	}
	// jobVerify makes the key of a round of Parts and checks it: verified.
	jobVerify struct {
		Job   uint64
		Terms terms
		Parts []part // Handle: of taken
		Class qsc.Class
		Got   uint8
	}
	// jobDeliver gives a verified key away, durably: accepted.
	jobDeliver struct {
		Job uint64
		Key any
		D   keymgmt.Delivery
	}
	// jobCheck checks the tag of an ack: checked.
	jobCheck struct {
		Job uint64
		Key any
		Ack *message
	}
	// jobBurn consumes key that a neighbour has used and nobody will: no event.
	jobBurn struct {
		Prev qsc.NodeID
		In   []stretch
	}
)

// part is one sub-key: the path it came over and what makes it a share.
type part struct {
	Path   uint8
	Handle any
	Fix    []byte
}

// terms are what the check of a round covers.
type terms struct {
	ID       roundID
	From, To qsc.NodeID
	Offer    offer
}

// The events.
type (
	evStart struct {
		Wait  any
		ID    roundID
		To    qsc.NodeID
		Paths []keymgmt.Path
		Need  int
		N     int
		Label string
	}
	evCancel struct { // the caller of a round went away, or its time is over
		ID   roundID
		Kind qsc.Kind
		Why  string
	}
	evMessage struct {
		From qsc.NodeID
		Msg  *message
	}
	evLost struct{ Nak *message } // a message could not be sent
	evTick struct{}

	evReserved struct {
		Job  uint64
		Pads any
		Out  []stretch
		Void []stretch // reserved too, and burnt
		Cls  qsc.Class
		Kind qsc.Kind // not Other: it failed
		Why  string
	}
	evSealed struct {
		Job   uint64
		Key   any
		Check [16]byte
		Fixes map[uint8][]byte // by path
		Kind  qsc.Kind
	}
	evAnnounced struct {
		Job  uint64
		Sum  []byte
		Kind qsc.Kind
	}
	evTaken struct {
		Job  uint64
		Key  any
		Kind qsc.Kind
	}
	evFolded   struct{ Job uint64 }
	evVerified struct {
		Job uint64
		Key any
		Tag [16]byte // of the ack
		OK  bool
	}
	evAccepted struct {
		Job  uint64
		Kind qsc.Kind // not Other: refused
	}
	evChecked struct {
		Job uint64
		OK  bool
	}
)

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
