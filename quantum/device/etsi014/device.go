// Package etsi014 is a vendor's QKD system as a quantum link: the two ends draw
// the same keys from the vendor's two key management entities over ETSI GS QKD
// 014 and lay them out as the same blocks (package twins).
//
// The last metre to the device is TLS, so the class of all key from here is
// Computational, whatever the device promises.
package etsi014

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/quantum/device/twins"
)

// Bound is what the blocks name as the bound they were made under: the vendor's,
// which the interface does not tell.
const Bound = "vendor (ETSI 014)"

// Config describes one end.
type Config struct {
	Link  qsc.LinkID
	Epoch uint32
	Block int64 // bytes in a block, a multiple of 16

	KME  *etsi014.Client // this end's; stays the caller's
	Peer string          // SAE ID of the other end
	Size int64           // bits of the keys to ask for; 0: as large as the KME gives

	// The master listens for the slave and keeps its place in FS.
	Master bool
	Listen net.Listener // master: where the slave calls; closed by the link
	FS     durable.FS   // master: its own directory; stays the caller's
	Dial   string       // slave: the master's address
	// TLS protects the block lists, mutually. Without it whoever can write to
	// the connection can waste key, and make a slave whose KME serves a key twice
	// take it into two blocks.
	TLS *tls.Config

	Class qsc.Class        // what is known to be weaker still
	Now   func() time.Time // nil: time.Now
}

// Link implements quantum.Link.
type Link = twins.Link

// Open opens one end. Errors: Invalid for an impossible configuration; Conflict
// when the directory is of a later epoch; Corrupt, NoSpace of the directory.
func Open(cfg Config) (*Link, error) {
	if cfg.KME == nil || cfg.Peer == "" {
		return nil, qsc.E("etsi014.Open", qsc.Invalid, string(cfg.Link), "a KME and the peer's SAE ID are needed")
	}
	return twins.Open(twins.Config{
		Link: cfg.Link, Epoch: cfg.Epoch, Block: cfg.Block,
		Source: &kme{client: cfg.KME, peer: cfg.Peer, size: cfg.Size / 8}, Kind: "etsi014", Bound: Bound,
		Master: cfg.Master, Listen: cfg.Listen, FS: cfg.FS, Dial: cfg.Dial, TLS: cfg.TLS,
		Class: qsc.Computational.Weakest(cfg.Class), Now: cfg.Now,
	})
}
