package distill

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

const (
	recordFile  = "records.jsonl"
	olderFile   = "records.1.jsonl"
	recordLimit = 4 << 20 // bytes; then the file becomes the older one
	keptRecords = 1000    // at hand
)

// appendRecord writes a record durably: one line of JSON. Order: the full file is
// renamed to the older one, which is replaced; the line is written and synced. A
// line that a crash has torn is passed over by who reads.
func appendRecord(fs durable.FS, r quantum.Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return qsc.E("distill.Record", qsc.Invalid, string(r.Link), "the round's parameters cannot be written: %w", err)
	}
	f, size, err := openRecords(fs)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(slices.Concat([]byte("\n"), line, []byte("\n")), size)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// openRecords opens the file that is appended to.
func openRecords(fs durable.FS) (durable.File, int64, error) {
	f, err := fs.Open(recordFile, os.O_RDWR, 0)
	if err == nil {
		size, err := f.Size()
		if err == nil && size < recordLimit {
			return f, size, nil
		}
		_ = f.Close()
		if err == nil {
			err = fs.Rename(recordFile, olderFile)
		}
		if err != nil {
			return nil, 0, err
		}
	} else if !qsc.IsKind(err, qsc.NotFound) {
		return nil, 0, err
	}
	f, err = fs.Open(recordFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		if err = fs.SyncDir("."); err != nil {
			_ = f.Close()
		}
	}
	return f, 0, err
}

// load reads the last records, for whoever asks. What cannot be read is passed
// over: a record is a tale, nothing rests on it.
func (a *account) load(fs durable.FS) error {
	for _, name := range []string{olderFile, recordFile} {
		b, err := durable.ReadFile(fs, name, recordLimit+MaxMessage)
		if qsc.IsKind(err, qsc.NotFound) || qsc.IsKind(err, qsc.Corrupt) {
			continue
		}
		if err != nil {
			return err
		}
		a.records = append(a.records, parseRecords(b)...)
	}
	a.records = slices.Delete(a.records, 0, max(0, len(a.records)-keptRecords))
	return nil
}

// parseRecords returns the whole lines that hold a record.
func parseRecords(b []byte) (list []quantum.Record) {
	for line := range bytes.Lines(b) {
		var r quantum.Record
		if len(line) > 1 && json.Unmarshal(line, &r) == nil && r.Bound != "" {
			list = append(list, r)
		}
	}
	return list
}
