// Package admin is a node's door for its own operator and for programs on the
// same machine: JSON and streams over HTTP on a Unix socket in the node's
// directory, which only its owner may open. Nothing of it is reachable from a
// network.
//
// It keeps nothing and decides nothing; it turns requests into calls of the
// vault and Kinds into status codes.
package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Object is what users see of a stored object.
type Object struct {
	Name     string      `json:"name"`
	ID       string      `json:"id"`
	Version  uint64      `json:"version"`
	Size     int64       `json:"size"`
	K        int         `json:"k"`
	N        int         `json:"n"`
	Policy   string      `json:"policy"`
	Class    qsc.Class   `json:"class"`
	Created  time.Time   `json:"created"`
	State    string      `json:"state"`    // "stored", or "degraded": shares are missing
	Survives int         `json:"survives"` // further sites that may be lost; negative: unreadable
	Shares   []Placement `json:"shares"`
}

// Placement is one share of an object.
type Placement struct {
	Site  qsc.SiteID `json:"site"`
	Point int        `json:"point"`
	State string     `json:"state"` // "durable", "missing" or "damaged"
}

// Fault is a site that did not do its part.
type Fault struct {
	Site  qsc.SiteID `json:"site"`
	Kind  string     `json:"kind"`
	Chunk int64      `json:"chunk"` // -1: no single chunk
	Text  string     `json:"text"`
}

// Report tells how a put or a get went.
type Report struct {
	Object Object       `json:"object"`
	Sites  []qsc.SiteID `json:"sites"` // that took part
	Faults []Fault      `json:"faults,omitempty"`
}

// List is one page of a listing; More says that there is another behind it.
type List struct {
	Objects []Object `json:"objects"`
	More    bool     `json:"more"`
}

// Status is what a node tells of itself.
type Status struct {
	Node    qsc.NodeID       `json:"node"`
	Site    qsc.SiteID       `json:"site"`
	Version string           `json:"version"`
	PID     int              `json:"pid"`
	Since   time.Time        `json:"since"`
	Metrics string           `json:"metrics,omitempty"` // address of /metrics and /healthz
	Objects int64            `json:"objects"`           // in this node's catalogue
	Store   cloud.SiteStatus `json:"store"`             // of this node's site
	Links   []Link           `json:"links"`
	Keys    Keys             `json:"keys"`
	Control Control          `json:"control"`
	Doors   Doors            `json:"doors"`
	Alarms  []string         `json:"alarms"`
}

// Keys is the key that this node shares with others beyond its links, in bytes:
// produced = used + burnt + expired + left.
type Keys struct {
	Streams  int   `json:"streams"`
	Produced int64 `json:"produced"`
	Used     int64 `json:"used"`
	Burnt    int64 `json:"burnt"`
	Expired  int64 `json:"expired"` // issued, and not fetched in time
	Left     int64 `json:"left"`
	Balanced bool  `json:"balanced"`

	Relay keymgmt.RelayStatus `json:"relay"`
}

// Control is this node's part in the control of the network.
type Control struct {
	Epoch   uint64    `json:"epoch"` // of the routes in use; 0: the node's own
	Version uint64    `json:"version"`
	Flows   int       `json:"flows"`   // routes that a controller gave
	Refused int64     `json:"refused"` // that claimed what is not so
	Class   qsc.Class `json:"class"`   // of the bus
	Runs    bool      `json:"controller"`
	Leads   bool      `json:"leads"`
	Fault   string    `json:"fault,omitempty"`
}

// Doors are where applications come; an empty one is not open.
type Doors struct {
	ETSI014 string `json:"etsi014,omitempty"`
	ETSI004 string `json:"etsi004,omitempty"`
	SKIP    string `json:"skip,omitempty"`
	ETSI015 string `json:"etsi015,omitempty"`
}

// Link is one end of a link.
type Link struct {
	ID        qsc.LinkID      `json:"id"`
	Peer      qsc.NodeID      `json:"peer"`
	Kind      string          `json:"kind"`
	Up        bool            `json:"up"`
	Why       string          `json:"why,omitempty"` // when not up
	Resumed   int64           `json:"resumed"`
	Waiting   bool            `json:"waiting_for_key"`
	Rate      qsc.BitRate     `json:"rate_bit_s"`
	NextBlock time.Duration   `json:"next_block_ns"` // negative: never
	QBER      float64         `json:"qber"`
	F         float64         `json:"f"`     // reconciliation efficiency; 0 where it has no meaning
	Bound     string          `json:"bound"` // what gives the length of the key
	Device    string          `json:"device,omitempty"`
	Class     qsc.Class       `json:"class"`
	Epoch     uint32          `json:"epoch"`
	Block     int64           `json:"block_bytes"`
	Stock     int64           `json:"stock_bytes"`   // made or couriered, not yet in the ring
	Send      keymgmt.Account `json:"send"`          // pads towards the peer
	Recv      keymgmt.Account `json:"receive"`       // pads from the peer
	SendSlots keymgmt.Account `json:"send_slots"`    // handshakes towards the peer
	RecvSlots keymgmt.Account `json:"receive_slots"` // handshakes from the peer
	Balanced  bool            `json:"balanced"`      // produced = used + burnt + left in all four
	Alarm     string          `json:"alarm,omitempty"`
}

// ErrorBody is the body of every answer that is not a success.
type ErrorBody struct {
	Op   string   `json:"op"`
	Kind qsc.Kind `json:"kind"`
	Node string   `json:"node,omitempty"`
	Text string   `json:"text"`
}

func errorBody(err error) ErrorBody {
	b := ErrorBody{Kind: qsc.KindOf(err), Text: err.Error()}
	var e *qsc.Error
	if errors.As(err, &e) {
		b.Op, b.Node = e.Op, e.Node
	}
	return b
}

// err is the error on the caller's side; its text is the whole of the server's.
func (b ErrorBody) err() error {
	return &qsc.Error{Kind: b.Kind, Err: errors.New(b.Text)}
}

// ObjectOf is what users see of a record.
func ObjectOf(r cloud.Record) Object {
	o := Object{
		Name: r.Name, ID: r.Ref.Object.String(), Version: r.Ref.Version, Size: r.Size, K: r.K, N: r.N,
		Policy: r.Policy, Class: r.Class, Created: r.Created, State: "stored", Survives: r.Survives(),
	}
	if r.Degraded() {
		o.State = "degraded"
	}
	for _, p := range r.Placements {
		o.Shares = append(o.Shares, Placement{p.Site, int(p.Point), p.State.String()})
	}
	return o
}

func reportOf(r cloud.Report) Report {
	rep := Report{Object: ObjectOf(r.Record), Sites: r.Sites}
	for _, f := range r.Faults {
		rep.Faults = append(rep.Faults, Fault{f.Site, f.Kind.String(), f.Chunk, f.Err.Error()})
	}
	return rep
}

// statusOf turns a Kind into HTTP's words.
func statusOf(k qsc.Kind) int {
	code, ok := map[qsc.Kind]int{
		qsc.Invalid: http.StatusBadRequest, qsc.NotFound: http.StatusNotFound, qsc.Exists: http.StatusConflict,
		qsc.Denied: http.StatusForbidden, qsc.Exhausted: http.StatusServiceUnavailable,
		qsc.Unreachable: http.StatusBadGateway, qsc.NoSpace: http.StatusInsufficientStorage,
		qsc.Insufficient: http.StatusServiceUnavailable, qsc.Conflict: http.StatusConflict,
		qsc.Busy: http.StatusServiceUnavailable, qsc.Timeout: http.StatusGatewayTimeout,
		qsc.Unsupported: http.StatusNotImplemented,
		qsc.Scarce:      http.StatusServiceUnavailable, qsc.Noisy: http.StatusServiceUnavailable,
		qsc.Keyless: http.StatusServiceUnavailable, qsc.Replayed: http.StatusServiceUnavailable,
	}[k]
	if !ok {
		return http.StatusInternalServerError
	}
	return code
}

// maxSocketPath is what the smallest of our systems takes for a socket's path.
const maxSocketPath = 100

// SocketPath is where the node of a directory listens: in the directory itself,
// or, when that makes the path too long for a socket, in a directory of this
// user's below the system's temporary one.
func SocketPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", qsc.E("admin", qsc.Invalid, dir, "%w", err)
	}
	if p := filepath.Join(abs, "admin.sock"); len(p) <= maxSocketPath {
		return p, nil
	}
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(os.TempDir(), "qsc-"+strconv.Itoa(os.Getuid()), hex.EncodeToString(sum[:12])+".sock"), nil
}
