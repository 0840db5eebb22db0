package relay

import (
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

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
