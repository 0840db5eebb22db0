package keymgmt

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Supply gives applications key that they share with other applications, and
// random numbers, in one format. It is the KSA of ITU-T Y.3802 and what every
// gateway stands on.
//
// Exactly once: a key is durably marked as issued (at its master's node) or as
// fetched (at its slave's) before it is returned. A crash may burn a key; it
// never issues or fetches it twice. Both ends account.
type Supply interface {
	// Stock tells what is there for master to ask for to share with slave.
	// Errors: Denied when the directory does not allow the pair.
	Stock(ctx context.Context, master, slave qsc.AppID) (Stock, error)

	// Issue takes new keys for the master: all that are asked for or none. With
	// more than one slave every slave can fetch each key once.
	// Errors: Denied; Invalid for a number, size or set of slaves outside Limits;
	// Exhausted when there is not enough key now (the text says when to ask
	// again); Unreachable when another slave's node cannot be told; NoSpace.
	Issue(ctx context.Context, r KeyRequest) (*Keys, error)

	// Fetch returns the slave's copies of keys that were issued to master and it,
	// in the order of ids: all or none. Each is given once, but for the retry
	// window of Policy.
	// Errors: NotFound when any ID is unknown, expired or already fetched; Denied
	// when all are known and one was not issued to this master and slave.
	Fetch(ctx context.Context, r FetchRequest) (*Keys, error)

	// Random fills dst with random bytes that passed the health tests and were
	// never given out before. Errors: Exhausted when physical randomness is asked
	// for (want = qsc.ITS) and used up.
	Random(ctx context.Context, dst []byte, want qsc.Class) (qsc.Class, error)

	// OpenStream opens or joins a stream of key between two applications (ETSI
	// GS QKD 004 OPEN_CONNECT). It returns at once; Stream.Connected tells of the
	// peer. Errors: Denied, Busy when two others have the stream, Invalid, NotFound
	// for an unknown destination.
	OpenStream(ctx context.Context, r StreamRequest) (Stream, error)

	Limits() Limits
}

// Limits of one request. Sizes are in bits.
type Limits struct {
	KeySize       qsc.Bits // default
	MinSize       qsc.Bits
	MaxSize       qsc.Bits
	MaxPerRequest int
	MaxSlaves     int // additional slaves; 0: no multicast
}

// Stock is what is left for a pair of applications.
type Stock struct {
	Source, Target qsc.NodeID // the KMEs of master and slave
	Keys           int64      // of the default size, ready now
	MaxKeys        int64      // of the default size, the most that is ever kept
	Class          qsc.Class
	Protection     Protection
	Disjoint       bool
	Hops           int
}

// KeyRequest asks for new keys.
type KeyRequest struct {
	Master qsc.AppID
	Slaves []qsc.AppID // at least one; the first is the slave of the request
	Number int         // 0: 1
	Size   qsc.Bits    // a multiple of 8; 0: the default
	Client string      // whom a retry is bound to: the fingerprint of a certificate
	Retry  string      // names the request among this client's; the same name within the window gets the same keys; "": none
	Want   qsc.Class   // nothing weaker: classes with a bit outside Want are refused; AnyClass for all
}

// AnyClass as KeyRequest.Want accepts key of every class.
const AnyClass = ^qsc.Class(0)

// FetchRequest asks for the other copy of keys.
type FetchRequest struct {
	Slave  qsc.AppID // who calls
	Master qsc.AppID // to whom the keys were issued
	IDs    []qsc.KeyID
	Client string
}

// Keys are the keys of one answer. The holder zeroises Bytes after use.
type Keys struct {
	IDs      []qsc.KeyID
	Size     int        // bytes of each key
	Bytes    qsc.Secret // len(IDs) × Size: key i is Bytes[i*Size:(i+1)*Size]
	Class    qsc.Class
	Hops     int
	Paths    int
	Need     int
	Disjoint bool
}

// QoS is what two applications agree on for a stream: the words of ETSI GS QKD
// 004 clause 6. Zero means the supply's choice.
type QoS struct {
	ChunkSize uint32      // bytes in one answer
	MaxRate   qsc.BitRate //
	MinRate   qsc.BitRate // guaranteed
	Jitter    qsc.BitRate // largest deviation from the rate
	Priority  uint32      // larger is more urgent
	Timeout   time.Duration
	TTL       time.Duration // after it key of the stream is erased
}

// StreamRequest asks for a stream. Exactly one of Source and Destination is
// served by this node's own caller: Source.
type StreamRequest struct {
	Source, Destination qsc.AppID
	ID                  [16]byte // zero: make one
	QoS                 QoS
}

// Stream is one application's end of a stream of key. The key at an index is the
// same for both ends, and each end gets it once. Both peers may ask in any
// order.
type Stream interface {
	ID() [16]byte
	QoS() QoS // as granted: the first opener's, as well as it can be met
	// Connected is closed when the peer application has opened its end.
	Connected() <-chan struct{}
	// Get fills dst, which is ChunkSize bytes long, with the chunk of that index.
	// It waits for key until ctx ends. Errors: Exhausted when no key is there and
	// none is coming; NotFound when the index was given or erased already;
	// Unreachable when the peer has closed and nothing is left; Timeout; Invalid.
	Get(ctx context.Context, index uint32, dst []byte) (ChunkInfo, error)
	// Close ends this end. What the peer has not taken stays for it until TTL.
	Close() error
}

// ChunkInfo is what is known of a chunk: the metadata of ETSI GS QKD 004.
type ChunkInfo struct {
	Age   time.Duration // since the key became available
	Hops  int           // trusted nodes between the two ends; 0: neighbours
	Class qsc.Class
}

// Directory knows the applications of the network.
type Directory interface {
	// Home returns the node that serves an application.
	Home(app qsc.AppID) (qsc.NodeID, bool)
	// Allowed returns the policy of a pair, and false when the master may not
	// share key with the slave.
	Allowed(master, slave qsc.AppID) (Policy, bool)
}

// Policy is what a pair of applications may have.
type Policy struct {
	Protection Protection
	MinRate    qsc.BitRate   // guaranteed; 0: none
	MaxRate    qsc.BitRate   // 0: no bound
	Priority   int           // larger goes first
	TTL        time.Duration // of unfetched key; 0: the supply's default
	Retry      time.Duration // how long the same client may ask again for a lost answer; 0: never
}
