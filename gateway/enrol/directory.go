package enrol

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Snapshot is a directory as one file says it. It never changes.
type Snapshot struct {
	saes    map[qsc.AppID]SAE
	pinned  map[string]qsc.AppID
	allowed map[[2]qsc.AppID]allowance
	order   []qsc.AppID // as in the file
	pairs   []Pair
}

type allowance struct {
	policy keymgmt.Policy
	line   int
}

func newSnapshot() *Snapshot {
	return &Snapshot{saes: map[qsc.AppID]SAE{}, pinned: map[string]qsc.AppID{}, allowed: map[[2]qsc.AppID]allowance{}}
}

func (s *Snapshot) addSAE(r *reader, a SAE) {
	if a.ID == "" {
		return // reported
	}
	if old, twice := s.saes[a.ID]; twice {
		r.addf(a.line, "sae: %s is given twice, first on line %d", quote(string(a.ID)), old.line)
		return
	}
	if other, twice := s.pinned[a.Fingerprint]; twice && a.Fingerprint != "" {
		r.addf(a.line, "sae: %s and %s are pinned to the same certificate", quote(string(a.ID)), quote(string(other)))
	}
	s.saes[a.ID] = a
	s.order = append(s.order, a.ID)
	if a.Fingerprint != "" {
		s.pinned[a.Fingerprint] = a.ID
	}
}

// addPair checks a pair and enters it, in both directions if it says so.
func (s *Snapshot) addPair(r *reader, p Pair) {
	if p.Master == "" || p.Slave == "" {
		return // reported
	}
	for _, id := range []qsc.AppID{p.Master, p.Slave} {
		if _, known := s.saes[id]; !known && id != Any {
			r.addf(p.line, "pair: there is no [[sae]] with the id %s", quote(string(id)))
		}
	}
	if p.Master == p.Slave && p.Master != Any {
		r.addf(p.line, "pair: %s shares key with itself", quote(string(p.Master)))
	}
	s.enter(r, [2]qsc.AppID{p.Master, p.Slave}, p)
	if p.BothWays && p.Master != p.Slave {
		s.enter(r, [2]qsc.AppID{p.Slave, p.Master}, p)
	}
}

func (s *Snapshot) enter(r *reader, who [2]qsc.AppID, p Pair) {
	if old, twice := s.allowed[who]; twice {
		r.addf(p.line, "pair: %s to %s is given twice, first on line %d", quote(string(who[0])), quote(string(who[1])), old.line)
		return
	}
	s.allowed[who] = allowance{p.Policy, p.line}
}

// Home implements keymgmt.Directory.
func (s *Snapshot) Home(app qsc.AppID) (qsc.NodeID, bool) {
	a, ok := s.saes[app]
	return a.Node, ok
}

// Allowed implements keymgmt.Directory. The pair that names more counts: both
// IDs, then the master's, then the slave's, then neither.
func (s *Snapshot) Allowed(master, slave qsc.AppID) (keymgmt.Policy, bool) {
	_, knowsMaster := s.saes[master]
	_, knowsSlave := s.saes[slave]
	if !knowsMaster || !knowsSlave || master == slave {
		return keymgmt.Policy{}, false
	}
	for _, who := range [4][2]qsc.AppID{{master, slave}, {master, Any}, {Any, slave}, {Any, Any}} {
		if a, ok := s.allowed[who]; ok {
			return a.policy, true
		}
	}
	return keymgmt.Policy{}, false
}

// Pinned returns the SAE whose only certificate has this fingerprint.
func (s *Snapshot) Pinned(fingerprint string) (qsc.AppID, bool) {
	app, ok := s.pinned[fingerprint]
	return app, ok
}

// Accepts reports whether a certificate of this fingerprint may speak for an
// SAE: the SAE is known, and pinned to no other certificate.
func (s *Snapshot) Accepts(app qsc.AppID, fingerprint string) bool {
	a, ok := s.saes[app]
	return ok && (a.Fingerprint == "" || a.Fingerprint == fingerprint)
}

// SAEs lists the applications as in the file.
func (s *Snapshot) SAEs() []SAE {
	all := make([]SAE, len(s.order))
	for i, id := range s.order {
		all[i] = s.saes[id]
	}
	return all
}

// Pairs lists the pairs as in the file.
func (s *Snapshot) Pairs() []Pair { return slices.Clone(s.pairs) }

// Unknown reports SAEs whose node the network does not have. Error: Invalid with
// Faults.
func (s *Snapshot) Unknown(file string, known func(qsc.NodeID) bool) error {
	r := &reader{file: file}
	for _, a := range s.SAEs() {
		if !known(a.Node) {
			r.addf(a.line, "sae: %s is at node %s, which the network does not have", quote(string(a.ID)), quote(string(a.Node)))
		}
	}
	return r.err()
}

// Directory is a snapshot that is exchanged when its file changes. All methods
// may be called at any time; a lookup takes no lock.
type Directory struct {
	file string
	snap atomic.Pointer[Snapshot]
	seen stamp // of the file when it was last read; Watch's alone after Open
}

var _ keymgmt.Directory = (*Directory)(nil)

// stamp tells one state of a file from another.
type stamp struct {
	size int64
	at   time.Time
	id   any // of the file behind the name
}

// OpenDirectory reads a directory file. Errors: NotFound, Denied, Invalid with
// Faults.
func OpenDirectory(file string) (*Directory, error) {
	d := &Directory{file: file}
	snap, err := d.read()
	if err != nil {
		return nil, err
	}
	d.snap.Store(snap)
	return d, nil
}

// Snapshot returns the directory as it is now.
func (d *Directory) Snapshot() *Snapshot { return d.snap.Load() }

// Home implements keymgmt.Directory.
func (d *Directory) Home(app qsc.AppID) (qsc.NodeID, bool) { return d.snap.Load().Home(app) }

// Allowed implements keymgmt.Directory.
func (d *Directory) Allowed(master, slave qsc.AppID) (keymgmt.Policy, bool) {
	return d.snap.Load().Allowed(master, slave)
}

// Watch looks at the file at every tick, about once a second, and takes a
// changed one over. One that is faulty or gone leaves what is known in force and
// is reported once; changed is called after each exchange. It returns when ctx
// ends.
func (d *Directory) Watch(ctx context.Context, tick <-chan time.Time, changed func(*Snapshot), faulty func(error)) {
	missing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		now, err := look(d.file)
		gone := err != nil
		if gone == missing && (gone || now.same(d.seen)) {
			continue
		}
		missing = gone
		snap, err := d.read()
		if err != nil {
			faulty(err)
			continue
		}
		d.snap.Store(snap)
		changed(snap)
	}
}

func look(file string) (stamp, error) {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.Size(), info.ModTime(), info}, nil
}

// same also tells a file from another of the same size and time that was renamed
// into its place.
func (s stamp) same(o stamp) bool {
	a, okA := s.id.(fs.FileInfo)
	b, okB := o.id.(fs.FileInfo)
	return s.size == o.size && s.at.Equal(o.at) && okA && okB && os.SameFile(a, b)
}

// read takes the stamp before the text, so that a change in between is seen at
// the next tick.
func (d *Directory) read() (*Snapshot, error) {
	seen, err := look(d.file)
	if err != nil {
		return nil, openError(d.file, err)
	}
	d.seen = seen
	text, err := readText(d.file)
	if err != nil {
		return nil, err
	}
	return Parse(d.file, text)
}

// readText reads a file up to one byte beyond MaxFile, which Parse refuses.
func readText(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, openError(file, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fileError("read", file, err)
	}
	return text, nil
}

func openError(file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return qsc.E("enrol.OpenDirectory", qsc.NotFound, "", "there is no directory of SAEs %s; `qsc sae add` begins one: %w", file, err)
	}
	return fileError("OpenDirectory", file, err)
}
