// Package record is a vendor's QKD system that writes its key into a file at each
// end, as a quantum link: records of a UUID and a key, appended as they are made
// (as IDQ's Clavis3 does). The file is read as it grows; the two ends tell each
// other over a small connection which records both have, and make the same blocks of
// them (package twins).
//
// The vendor's file is only read: nothing is erased in it, and what the vendor's
// process, the disk and whoever may read the file do with the key is theirs. That
// the two files hold the same key under one UUID is not checked here: the first
// frame under a block's pads shows it. The class of the key is Computational, as
// that of any vendor's key (package device/etsi014): nothing in a file shows how its
// key came about.
package record

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/device/twins"
	"github.com/quantum-secure-cloud/qsc/quantum/device/watch"
)

// Bound is what the blocks name as the bound they were made under: the vendor's,
// which the file does not tell.
const Bound = "vendor (record file)"

// Config describes one end.
type Config struct {
	Link  qsc.LinkID
	Epoch uint32
	Block int64 // bytes in a block, a multiple of 16, at least 32

	Path string     // of the vendor's file at this end; its directory must exist
	FS   durable.FS // this end's own directory: which records are used; stays the caller's

	// One end is the master: it listens, chooses the records and keeps the lists.
	Master bool
	Listen net.Listener // master: where the slave calls; closed by the link
	Dial   string       // slave: the master's address
	// TLS protects the lists, mutually. Without it whoever can write to the
	// connection can waste key; a record is used once all the same.
	TLS *tls.Config

	Class qsc.Class        // what is known to be weaker still
	Now   func() time.Time // nil: time.Now
}

// Link implements quantum.Link.
type Link struct {
	*twins.Link
	src *source

	watcher *watch.Watcher
	stop    chan struct{}
	once    sync.Once
	jobs    sync.WaitGroup
}

var _ quantum.Link = (*Link)(nil)

// Open opens one end. The file may come later. Errors: Invalid for an impossible
// configuration; NotFound when the file's directory is missing; Conflict when FS is
// of a later epoch; Corrupt, NoSpace of FS.
func Open(cfg Config) (*Link, error) {
	if cfg.Path == "" || cfg.FS == nil || cfg.Block < KeySize {
		return nil, qsc.E("record.Open", qsc.Invalid, string(cfg.Link), "the path of the vendor's file, a directory of the link's own and blocks of at least %d bytes are needed", KeySize)
	}
	used, err := openJournal(cfg.FS)
	if err != nil {
		return nil, err
	}
	w, err := watch.Dir(filepath.Dir(cfg.Path))
	if err != nil {
		used.close()
		return nil, qsc.E("record.Open", qsc.KindOf(err), string(cfg.Link), "%w", err)
	}
	l := &Link{src: newSource(cfg, used), watcher: w, stop: make(chan struct{})}
	l.src.look() // so that the other end is told of all that is there at once
	l.Link, err = twins.Open(twins.Config{
		Link: cfg.Link, Epoch: cfg.Epoch, Block: cfg.Block, Source: l.src, Kind: "record", Bound: Bound,
		Master: cfg.Master, Listen: cfg.Listen, FS: cfg.FS, Dial: cfg.Dial, TLS: cfg.TLS,
		Class: qsc.Computational.Weakest(cfg.Class), Now: cfg.Now,
	})
	if err != nil {
		w.Close()
		l.src.close()
		return nil, err
	}
	l.jobs.Go(l.follow)
	return l, nil
}

// follow reads the file at each change.
func (l *Link) follow() {
	for {
		l.src.look()
		select {
		case <-l.watcher.Changed():
		case <-l.stop:
			return
		}
	}
}

// Close implements quantum.Link.
func (l *Link) Close() error {
	err := l.Link.Close()
	l.once.Do(func() { close(l.stop) })
	l.jobs.Wait()
	l.watcher.Close()
	l.src.close()
	return err
}
