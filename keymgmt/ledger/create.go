package ledger

import (
	"os"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// create makes the files of an empty ledger.
//
// Order of system calls:
//  1. rings and table: allocate, fdatasync;
//  2. first marks record into a temporary file, fdatasync;
//  3. sync of the directory: all names are there;
//  4. rename to "marks", sync of the directory.
//
// Only "marks" makes a ledger; a crash before step 4 leaves nothing that was
// ever used, and create starts over.
func (l *Ledger) create() error {
	files := l.plan()
	if err := l.checkSpace(files); err != nil {
		return err
	}
	for _, f := range files {
		if err := l.makeFile(f); err != nil {
			return err
		}
	}
	if err := l.firstMarks(); err != nil {
		return err
	}
	if err := l.cfg.FS.SyncDir("."); err != nil {
		return err
	}
	if err := l.cfg.FS.Rename(marksTemp, marksName); err != nil {
		return err
	}
	return l.cfg.FS.SyncDir(".")
}

type planned struct {
	name string
	size int64
}

func (l *Ledger) plan() []planned {
	table := planned{name: tableName}
	files := []planned{}
	for id := range keymgmt.Lanes {
		n := l.cfg.slots(otp.Lane(id))
		table.size += int64(n) * recordSize
		files = append(files, planned{padName(id), int64(n * l.u)})
	}
	return append(files, table)
}

// checkSpace says before anything is written what would not fit.
func (l *Ledger) checkSpace(files []planned) error {
	need := int64(marksSize)
	for _, f := range files {
		need += f.size
		if info, err := l.cfg.FS.Stat(f.name); err == nil {
			need -= min(info.Size(), f.size)
		}
	}
	free, err := l.cfg.FS.Free()
	if err != nil {
		return err
	}
	if free < need {
		return qsc.E("", qsc.NoSpace, "", "the pad rings need %d more bytes on the disk and %d are free: make room, or configure a smaller pad stock", need, free)
	}
	return nil
}

// makeFile reserves a file. What it holds already comes from a creation that
// was cut short, and the table must then be blank: records without marks are a
// ledger whose memory was lost, and using it could use key twice.
func (l *Ledger) makeFile(p planned) error {
	f, err := l.cfg.FS.Open(p.name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if p.name == tableName {
		if err := l.mustBeBlank(f); err != nil {
			return err
		}
	}
	size, err := f.Size()
	if err == nil && size > p.size {
		err = f.Truncate(p.size)
	}
	if err == nil {
		err = f.Allocate(p.size)
	}
	if err == nil {
		err = f.Sync()
	}
	return err
}

func (l *Ledger) mustBeBlank(f durable.File) error {
	size, err := f.Size()
	p := make([]byte, recordSize)
	for at := int64(0); err == nil && at+recordSize <= size; at += recordSize {
		if _, err = f.ReadAt(p, at); err != nil {
			return err
		}
		if b, ok := parseBlock(p); !ok || b.state != empty {
			return l.bad(marksName, "is missing while blocks are there")
		}
	}
	return err
}

func (l *Ledger) firstMarks() error {
	f, err := l.cfg.FS.Open(marksTemp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Allocate(marksSize); err != nil {
		return err
	}
	m := marksFile{f: f}
	return m.write(l.blank())
}
