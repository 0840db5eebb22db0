package record

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// The journal remembers which records are used, so that none is used again, in this
// epoch or another: not after a crash, and not when the vendor writes its file anew.
const (
	journalFile = "used"
	journalHead = 8
	maxBatch    = math.MaxUint16 // names in one entry
	// What is kept when the journal has grown to twice as much: all that a file may
	// hold, twice, so that no record of the present file is ever forgotten.
	keepUsed = 2 * MaxRecords
)

var (
	journalMagic = []byte("QSCU\x01\x00\x00\x00")
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

// print is 64 bits of a record's name: enough to know it again. Two names with the
// same would cost the second record, no more.
type print uint64

func printOf(id qsc.KeyID) print {
	return print(binary.BigEndian.Uint64(id[:]) ^ binary.BigEndian.Uint64(id[8:]))
}

type journal struct {
	fs    durable.FS
	f     durable.File
	end   int64
	order []print // oldest first
	has   map[print]struct{}
	err   error // a write has failed: nothing more is used
	keep  int
}

// maxJournal bounds what is read of a journal.
const maxJournal = 16*(2*keepUsed+maxBatch) + 1<<20

// openJournal reads the journal, or makes one. Errors: Corrupt, and those of FS.
func openJournal(fs durable.FS) (*journal, error) {
	j := &journal{fs: fs, has: map[print]struct{}{}, keep: keepUsed}
	b, err := durable.ReadFile(fs, journalFile, maxJournal)
	whole := false // else one is to be made
	switch {
	case err == nil:
		var order []print
		if order, whole, err = decodeJournal(b); err != nil {
			return nil, err
		}
		for _, p := range order {
			j.note(p)
		}
	case qsc.IsKind(err, qsc.Corrupt):
		return nil, damaged("%w", err)
	case !qsc.IsKind(err, qsc.NotFound):
		return nil, err
	}
	if whole && len(j.order) <= 2*j.keep {
		err = j.reopen(int64(len(b)))
	} else {
		err = j.rewrite()
	}
	if err != nil {
		return nil, err
	}
	return j, nil
}

// reopen has j write on behind end, where the file at its name ends.
func (j *journal) reopen(end int64) (err error) {
	j.close()
	j.f, err = j.fs.Open(journalFile, os.O_RDWR, 0)
	j.end = end
	return err
}

func damaged(format string, args ...any) error {
	return qsc.E("record.Open", qsc.Corrupt, journalFile,
		"the journal of used records is damaged: "+format+"; move the vendor's file away, remove the journal and start with a new file", args...)
}

// decodeJournal returns what a journal says, and whether its last entry is whole. Of
// one that was cut off every name that can be made out counts as used. Error:
// Corrupt, when more is wrong than a crash explains.
func decodeJournal(b []byte) (order []print, whole bool, err error) {
	if len(b) < journalHead || string(b[:journalHead]) != string(journalMagic) {
		return nil, false, damaged("it does not begin as one")
	}
	for b = b[journalHead:]; len(b) > 0; {
		n, ok := entry(b)
		if !ok {
			break
		}
		order = append(order, names(b[4:4+8*n])...)
		b = b[8+8*n:]
	}
	if len(b) > 8+8*maxBatch {
		return nil, false, damaged("%d bytes at its end make no sense", len(b))
	}
	if len(b) > 4 {
		order = append(order, names(b[4:])...)
	}
	return order, len(b) == 0, nil
}

// entry is the number of names in the entry that b begins with.
func entry(b []byte) (n int, ok bool) {
	if len(b) < 8 {
		return 0, false
	}
	n = int(binary.BigEndian.Uint32(b))
	if n == 0 || n > maxBatch || len(b) < 8+8*n {
		return 0, false
	}
	return n, crc32.Checksum(b[:4+8*n], castagnoli) == binary.BigEndian.Uint32(b[4+8*n:])
}

func names(b []byte) (out []print) {
	for ; len(b) >= 8; b = b[8:] {
		out = append(out, print(binary.BigEndian.Uint64(b)))
	}
	return out
}

func appendEntry(b []byte, prints []print) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(prints)))
	for _, p := range prints {
		b = binary.BigEndian.AppendUint64(b, uint64(p))
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

func (j *journal) note(p print) {
	if _, there := j.has[p]; !there {
		j.has[p] = struct{}{}
		j.order = append(j.order, p)
	}
}

func (j *journal) used(id qsc.KeyID) bool {
	_, ok := j.has[printOf(id)]
	return ok
}

// use marks records as used. They may be used once it has returned without an error.
// After an error nothing more is: what the disk holds is not known.
func (j *journal) use(ids []qsc.KeyID) error {
	if j.err != nil {
		return j.err
	}
	prints := make([]print, len(ids))
	for i, id := range ids {
		prints[i] = printOf(id)
		j.note(prints[i])
	}
	b := appendEntry(nil, prints)
	if _, j.err = j.f.WriteAt(b, j.end); j.err == nil {
		j.err = j.f.Sync()
	}
	j.end += int64(len(b))
	if j.err == nil && len(j.order) > 2*j.keep {
		j.err = j.rewrite()
	}
	return j.err
}

// rewrite makes the journal anew of the newest names.
func (j *journal) rewrite() error {
	if old := len(j.order) - j.keep; old > 0 {
		for _, p := range j.order[:old] {
			delete(j.has, p)
		}
		j.order = append([]print(nil), j.order[old:]...)
	}
	b := append([]byte(nil), journalMagic...)
	for rest := j.order; len(rest) > 0; {
		n := min(len(rest), maxBatch)
		b = appendEntry(b, rest[:n])
		rest = rest[n:]
	}
	if err := durable.Replace(j.fs, journalFile, b); err != nil {
		return err
	}
	return j.reopen(int64(len(b)))
}

func (j *journal) close() {
	if j.f != nil {
		_ = j.f.Close()
		j.f = nil
	}
}
