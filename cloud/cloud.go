// Package cloud is the door of the quantum secure cloud: the contract of the
// Vault, which keeps files as (k,n) shares, and of the Site, which keeps one
// share of each.
//
// It shares no secret (its/share), moves no byte between nodes (transport) and
// knows no foreign protocol (gateway). Rooms: vault, catalog, site/local,
// site/remote.
package cloud

import (
	"context"
	"io"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Limits that every room keeps.
const (
	MaxName   = 1024      // bytes in an object's name
	MinChunk  = 4 << 10   // secret bytes in a chunk
	MaxChunk  = 4 << 20   // secret bytes in a chunk
	MaxChunks = 1<<32 - 2 // chunks in an object
	MinPiece  = 64        // bytes: a piece is never less than its header
	MaxPiece  = MaxChunk + 64 + 255*16 + 16
	MaxMeta   = 64 << 10 // bytes in a sealed metadata piece
	MaxOwner  = 255      // bytes in the owner of a Ref
	MaxList   = 1000     // entries in one page of a listing
)

// Ref names one version of one object at a site. Owner is the node that stored
// it: a site releases a share to nobody else, and takes the owner from the
// authenticated channel, never from the request.
type Ref struct {
	Owner   qsc.NodeID
	Object  qsc.ObjectID
	Version uint64
}

// Site keeps one share of each object. A piece is one chunk's share in the
// format of package its/share; the site stores it as it came and cannot read it.
// All methods may be called from several goroutines.
type Site interface {
	// ID names the site.
	ID() qsc.SiteID

	// Create begins a share. Nothing of it is visible until Commit; a share
	// that is neither committed nor aborted disappears at the next start. A
	// commit over a committed share of the same Ref replaces it whole (repair).
	// Errors: NoSpace, Unreachable.
	Create(ctx context.Context, ref Ref) (PieceWriter, error)

	// Open reads the pieces of chunks first … first+count-1 in order; count may
	// be 0. Errors: NotFound, Invalid for chunks the share does not have,
	// Unreachable; from the reader also Corrupt for a damaged piece.
	Open(ctx context.Context, ref Ref, first, count uint32) (PieceReader, error)

	// Stat describes a committed share. Error: NotFound.
	Stat(ctx context.Context, ref Ref) (ShareInfo, error)

	// List returns committed shares of the owner in rising order of (object,
	// version), those after the given Ref, at most limit ≤ MaxList.
	List(ctx context.Context, after Ref, limit int) ([]ShareInfo, error)

	// Delete durably removes the share; one that is not there is no error.
	Delete(ctx context.Context, ref Ref) error

	// Status tells of the site's disk.
	Status(ctx context.Context) (SiteStatus, error)
}

// PieceWriter receives the pieces of one share in chunk order from 0.
type PieceWriter interface {
	// Write stores a copy of the next piece. It may return before the piece is
	// durable. Errors: NoSpace, Unreachable, Invalid for a malformed piece.
	Write(piece []byte) error
	// Commit stores the sealed metadata piece and returns when the whole share
	// is durable. After an error the share is as if never begun, or, if only the
	// answer was lost (Unreachable, Timeout), either.
	Commit(meta []byte) error
	// Abort forgets the share. After Commit it does nothing.
	Abort() error
}

// PieceReader yields pieces in chunk order.
type PieceReader interface {
	// Next returns the next piece, valid until the following call, and io.EOF
	// after the last. A damaged piece gives Corrupt; the reader may go on.
	Next() ([]byte, error)
	Close() error
}

// ShareInfo describes one committed share.
type ShareInfo struct {
	Ref    Ref
	Chunks uint32 // data pieces
	Bytes  int64  // of all pieces, the metadata piece included
	Meta   []byte // the sealed metadata piece; nil in a listing where it is damaged
}

// SiteStatus tells of a site's disk.
type SiteStatus struct {
	Shares int64 `json:"shares"`
	Live   int64 `json:"live_bytes"` // of committed pieces
	Disk   int64 `json:"disk_bytes"` // of segment files
	Free   int64 `json:"free_bytes"` // that the file system still gives
}

// State is where an object stands in its life.
type State uint8

// The states, numbered for the catalogue; only ever appended to.
const (
	Pending State = iota // begun, not acknowledged: removed at the next start
	Stored               // durable at w sites or more
	Doomed               // to be deleted at every site, then forgotten
)

// Placement states, numbered for the catalogue; only ever appended to.
const (
	Missing PlacementState = iota // not known to be durable there
	Durable                       // the site has acknowledged it
	Damaged                       // a piece failed its tag there
)

// PlacementState is how one site's share stands.
type PlacementState uint8

// String returns the state in one word.
func (s PlacementState) String() string {
	return [...]string{"missing", "durable", "damaged", "unknown"}[min(s, 3)]
}

// Placement is one share of an object.
type Placement struct {
	Site    qsc.SiteID
	Point   byte // the share's x, 1 to n
	State   PlacementState
	HashKey qsc.Secret // 16 bytes: the hash key r of this share's tags
}

// Record is what the catalogue keeps of one version of an object.
type Record struct {
	Ref        Ref
	Name       string
	State      State
	Size       int64 // secret bytes
	Chunk      int64 // secret bytes in every chunk but the last
	K, N, W    int
	Class      qsc.Class
	Policy     string
	Created    time.Time
	Placements []Placement // N of them, by rising Point
}

// Chunks is the number of data pieces of each share.
func (r *Record) Chunks() uint32 { return uint32((r.Size + r.Chunk - 1) / r.Chunk) }

// Alive counts the placements known to be durable.
func (r *Record) Alive() int {
	n := 0
	for _, p := range r.Placements {
		if p.State == Durable {
			n++
		}
	}
	return n
}

// Survives is how many further sites may be lost; negative: it cannot be read.
func (r *Record) Survives() int { return r.Alive() - r.K }

// Degraded reports whether some share still waits for its site.
func (r *Record) Degraded() bool { return r.State == Stored && r.Alive() < r.N }

// Query selects records by rising (Name, Version, Object, Owner).
type Query struct {
	Prefix string  // of the name
	After  string  // only names behind this one
	Behind Ref     // unless zero: also those of the name After that follow this one
	States []State // empty: Stored only
	// Degraded selects only records with a placement that is not Durable.
	Degraded bool
	Limit    int // at most MaxList; 0: MaxList
}

// Catalog keeps the records and the tag masks of the objects of one home node.
// It can be rebuilt from any k sites. All methods may be called from several
// goroutines; each is one transaction, durable when it returns.
type Catalog interface {
	// Insert adds a Pending record. Exists if the Ref is there.
	Insert(ctx context.Context, r Record) error
	// Update changes a record under the transaction: fn sees it and edits it.
	// When fn makes it Stored, every other Stored record of that name with a
	// lower version becomes Doomed in the same transaction; one with the same
	// or a higher version gives Exists. Errors: NotFound, fn's own.
	Update(ctx context.Context, ref Ref, fn func(*Record) error) error
	// Lookup returns the Stored record of that name. NotFound.
	Lookup(ctx context.Context, name string) (Record, error)
	// List returns one page of records.
	List(ctx context.Context, q Query) ([]Record, error)
	// Count returns how many records are Stored.
	Count(ctx context.Context) (int64, error)
	// Forget removes a record and its masks; none is no error.
	Forget(ctx context.Context, ref Ref) error
	// PutMasks keeps the tag masks of consecutive chunks from first on: for
	// each chunk n masks of 16 bytes by rising point.
	PutMasks(ctx context.Context, ref Ref, first uint32, masks []byte) error
	// Masks returns the masks of count chunks. NotFound when any is missing, as
	// after a rebuild.
	Masks(ctx context.Context, ref Ref, first, count uint32) ([]byte, error)
	// Close ends the catalogue's use.
	Close() error
}

// MetaChunk is the chunk index under which the mask of the metadata piece is kept.
const MetaChunk = MaxChunks + 1

// Progress is called now and then with the secret bytes done so far and, if the
// transfer stands still, the reason in words.
type Progress func(done int64, waiting string)

// PutOptions steer a Put.
type PutOptions struct {
	Policy   string // empty: the default policy
	Size     int64  // secret bytes if known, else -1: lets a hopeless put fail at once
	Replace  bool   // store a new version over an existing name
	Progress Progress
}

// GetOptions steer a Get.
type GetOptions struct {
	Offset   int64
	Length   int64 // negative: to the end
	Progress Progress
}

// Fault is a site that did not do its part, and how.
type Fault struct {
	Site  qsc.SiteID
	Kind  qsc.Kind
	Chunk int64 // -1 where no single chunk is concerned
	Err   error
}

// Report tells how a Put or a Get went.
type Report struct {
	Record Record
	Sites  []qsc.SiteID // that took part
	Faults []Fault      // sites routed around
}

// Vault keeps files. All methods may be called from several goroutines.
type Vault interface {
	// Put stores what r yields under a name, in constant memory, and returns
	// when it is durable at the policy's write quorum. Errors: Invalid (name,
	// policy), Exists, Exhausted (pad), Insufficient (too few live sites),
	// NoSpace, Timeout. After an error nothing is stored under that name that
	// was not there before.
	Put(ctx context.Context, name string, r io.Reader, opt PutOptions) (Report, error)
	// Get writes a range of the object to w. Bytes reach w only after the tags
	// of their shares were verified. Errors: NotFound, Invalid (range),
	// Insufficient, Tampered (fewer than k good shares), Exhausted, Timeout.
	Get(ctx context.Context, name string, w io.Writer, opt GetOptions) (Report, error)
	// Stat returns the record of a name. NotFound.
	Stat(ctx context.Context, name string) (Record, error)
	// List returns one page of stored records.
	List(ctx context.Context, q Query) ([]Record, error)
	// Delete removes an object: its shares at once where the sites live, later
	// where they do not. NotFound.
	Delete(ctx context.Context, name string) error
	// Rebuild makes the catalogue anew from what the sites hold and returns how
	// many objects it found. Insufficient if fewer than k sites answer.
	Rebuild(ctx context.Context) (int, error)
}
