package record

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// Either end by itself, whatever the other remembers: a record that was given away is
// never given again, though power is lost at once, the end is opened anew, the vendor
// writes the record again, and the other end asks for it or says that it has it.
func TestUsedOnce(t *testing.T) {
	for _, master := range []bool{true, false} {
		disk, path := durable.Mem(1<<20), filepath.Join(t.TempDir(), "keys")
		recs := records(3 * inBlock)
		write(t, path, recs...)
		s := opened(t, disk, path, master)
		give(t, s, recs[:inBlock], true)
		disk = disk.Crashed(nil) // all that was not synced is lost
		give(t, s, recs[:inBlock], false)
		s.close()
		s = opened(t, disk, path, master)
		give(t, s, recs[:inBlock], false)
		give(t, s, recs[inBlock:2*inBlock], true)
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		write(t, path, recs...)
		s.look()
		give(t, s, recs[:2*inBlock], false)
		give(t, s, recs[2*inBlock:], true)
		s.close()
	}
}

func opened(t *testing.T, fs durable.FS, path string, master bool) *source {
	t.Helper()
	used, err := openJournal(fs)
	if err != nil {
		t.Fatal(err)
	}
	s := newSource(Config{Path: path, Master: master}, used)
	s.look()
	return s
}

// give has a source give records: by its choice among what the other end says that it
// has, or by their names.
func give(t *testing.T, s *source, recs [][]byte, want bool) {
	t.Helper()
	ids := make([]qsc.KeyID, len(recs))
	for i, r := range recs {
		ids[i] = qsc.KeyID(r[:idSize])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what is not there is not waited for
	var err error
	if s.master {
		s.Shared(true, ids)
		_, err = s.Draw(ctx, len(ids))
	} else {
		_, err = s.Twins(ctx, ids)
	}
	if (err == nil) != want {
		t.Fatalf("master %v: %d records given: %v, should be %v", s.master, len(recs), err, want)
	}
}
