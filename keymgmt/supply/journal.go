package supply

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

const (
	batchMagic   = 0x51534a31 // "QSJ1"
	batchHead    = 28
	sector       = 512
	maxBatch     = 1 << 20 // payload of one batch; a snapshot takes several
	journalRoom  = 4 << 20 // for records behind a snapshot
	maxJournal   = 1 << 30
	journalName  = "journal-"
	journalRetry = 10 * time.Millisecond
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// round is one group commit: all whose records are in it wait for done.
type round struct {
	done chan struct{}
	err  error // read after done is closed
}

func newRound() *round { return &round{done: make(chan struct{})} }

// failed reports whether the round is over and went wrong.
func (r *round) failed() bool {
	select {
	case <-r.done:
		return r.err != nil
	default:
		return false
	}
}

// journal is an append-only file of records with group commit: whoever waits
// first writes for all. A file that a write or a sync has failed on is never
// written again; a new one, begun by a snapshot of the state in memory, takes its
// place.
type journal struct {
	fs       durable.FS
	room     int64                    // for records behind a snapshot
	snapshot func(seal func()) []byte // encodes all state, calling seal at that moment
	lead     chan struct{}            // held by the one that writes
	broken   atomic.Bool

	mu  sync.Mutex
	buf []byte // records of the round that is still open
	cur *round

	// Only the leader touches what follows.
	f     durable.File
	gen   uint64
	seq   uint64
	off   int64
	size  int64
	spare []byte
	tried time.Time
}

func newJournal(fs durable.FS, room int64, snapshot func(seal func()) []byte) *journal {
	return &journal{fs: fs, room: room, snapshot: snapshot, lead: make(chan struct{}, 1), cur: newRound()}
}

// add puts a record into the open round. It waits for nothing, so that the order
// of records is that of the caller's lock.
func (j *journal) add(r record) *round {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buf = r.append(j.buf)
	return j.cur
}

// now returns the open round: with it all that was added before is durable.
func (j *journal) now() *round {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cur
}

// wait returns when the round is durable. Errors: NoSpace and others of package
// durable; then nothing of the round may be relied on.
func (j *journal) wait(r *round) error {
	select {
	case <-r.done:
		return r.err
	case j.lead <- struct{}{}:
	}
	defer func() { <-j.lead }()
	select {
	case <-r.done:
	default:
		j.flush()
		<-r.done
	}
	return r.err
}

// settle is wait, and when that round has failed, waits for a later one: whatever
// succeeds after a failure begins with a snapshot, which holds all before.
func (j *journal) settle(r *round) error {
	if err := j.wait(r); err == nil {
		return nil
	}
	if err := j.ready(); err != nil {
		return err
	}
	return j.wait(j.now())
}

// seal ends the open round.
func (j *journal) seal() (*round, []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, b := j.cur, j.buf
	j.cur, j.buf, j.spare = newRound(), j.spare[:0], nil
	return r, b
}

// flush writes the open round: to the end of the file, or with all else to a new
// file when this one is full or failed.
func (j *journal) flush() {
	if j.broken.Load() {
		_ = j.rotate()
		return
	}
	r, b := j.seal()
	if j.off+int64(batchSpace(len(b))) > j.size || len(b) > maxBatch {
		// Too large for what is left. The snapshot holds all that is in it.
		r2, err := j.begin()
		r.err, r2.err = err, err
		close(r.done)
		close(r2.done)
		return
	}
	r.err = j.append(b)
	j.spare = b[:0]
	if r.err != nil {
		j.broken.Store(true)
		r.err = qsc.E("supply.journal", qsc.KindOf(r.err), "", "the mark could not be made durable, so no key was given out: %w", r.err)
	}
	close(r.done)
}

// append makes one batch durable.
func (j *journal) append(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	b := frame(j.gen, j.seq, payload)
	if _, err := j.f.WriteAt(b, j.off); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	j.seq++
	j.off += int64(len(b))
	return nil
}

// rotate goes on in a new file, with the open round in it.
func (j *journal) rotate() error {
	r, err := j.begin()
	r.err = err
	close(r.done)
	return err
}

// begin writes a new file. Order of system calls: the temporary file's batches,
// its fdatasync, the rename, the sync of the directory; then the old file goes.
// Until the sync of the directory has succeeded it is not known which of the two
// a crash leaves, so neither is written.
func (j *journal) begin() (r *round, err error) {
	defer func() {
		if err != nil {
			err = qsc.E("supply.journal", qsc.KindOf(err), "", "no new journal could be begun, so no key is given out: %w", err)
		}
		j.broken.Store(err != nil)
	}()
	j.broken.Store(true)
	snap := j.snapshot(func() { r, _ = j.seal() })
	old := j.f
	j.gen++
	f, off, seq, err := writeJournal(j.fs, j.gen, snap, j.room)
	if err != nil {
		return r, err
	}
	if old != nil {
		_ = old.Close()
	}
	j.f, j.off, j.seq, j.size = f, off, seq, off+j.room
	j.removeOld()
	return r, nil
}

func nameOf(gen uint64) string { return fmt.Sprintf("%s%016x", journalName, gen) }

func writeJournal(fs durable.FS, gen uint64, snap []byte, room int64) (f durable.File, off int64, seq uint64, err error) {
	name := nameOf(gen)
	f, err = fs.Open(name+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, 0, 0, err
	}
	off, seq, err = fill(fs, f, name, gen, snap, room)
	if err != nil {
		_ = f.Close()
		_ = fs.Remove(name + ".tmp")
		return nil, 0, 0, err
	}
	return f, off, seq, nil
}

// fill writes a snapshot and gives the file its name.
func fill(fs durable.FS, f durable.File, name string, gen uint64, snap []byte, room int64) (off int64, seq uint64, err error) {
	space := int64(len(snap)) + int64(len(snap)/maxBatch+2)*sector*2
	if err = f.Allocate(space + room); err != nil {
		return 0, 0, err
	}
	for first := true; first || len(snap) > 0; first = false {
		n := cut(snap)
		b := frame(gen, seq, snap[:n])
		if _, err = f.WriteAt(b, off); err != nil {
			return 0, 0, err
		}
		snap, off, seq = snap[n:], off+int64(len(b)), seq+1
	}
	if err = f.Sync(); err != nil {
		return 0, 0, err
	}
	if err = fs.Rename(name+".tmp", name); err != nil {
		return 0, 0, err
	}
	return off, seq, fs.SyncDir(".")
}

// cut returns how many bytes of whole records fit into a batch.
func cut(b []byte) (n int) {
	for n < len(b) {
		next := n + 2 + int(binary.BigEndian.Uint16(b[n:]))
		if next > maxBatch {
			break
		}
		n = next
	}
	return n
}

// ready tries to leave a broken journal behind.
func (j *journal) ready() error {
	if !j.broken.Load() {
		return nil
	}
	j.lead <- struct{}{}
	defer func() { <-j.lead }()
	if !j.broken.Load() {
		return nil
	}
	if time.Since(j.tried) < journalRetry {
		return qsc.E("supply.journal", qsc.NoSpace, "", "the journal cannot be written: free space on the disk or see the log; no key is given out until then")
	}
	j.tried = time.Now()
	return j.rotate()
}

// removeOld removes all journals but the newest.
func (j *journal) removeOld() {
	gens, _ := generations(j.fs)
	for _, g := range gens {
		if g < j.gen {
			_ = j.fs.Remove(nameOf(g))
		}
	}
}

func (j *journal) close() {
	j.lead <- struct{}{}
	defer func() { <-j.lead }()
	j.broken.Store(true)
	if j.f != nil {
		_ = j.f.Close()
		j.f = nil
	}
}
