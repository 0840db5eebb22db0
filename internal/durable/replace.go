package durable

import (
	"errors"
	"io"
	"os"

	"github.com/quantum-secure-cloud/qsc"
)

// replaced is the ending of a file that is to take another's place.
const replaced = ".new"

// Replace gives a file of the tree's root another content, whole or not at all: for
// small files, from memory. Order: content beside it under the name and ".new", sync,
// rename, sync of the directory. Without an error the new content is durable; after
// one the file may hold the old or the new, also after a crash, and never part of
// either. A file made here is its owner's alone to read. Errors: of FS and File.
func Replace(fsys FS, name string, b []byte) error {
	f, err := fsys.Open(name+replaced, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(name+replaced, name); err != nil {
		return err
	}
	return fsys.SyncDir(".")
}

// ReadFile returns a whole file of at most limit bytes. Errors: Corrupt for a longer
// one, and those of FS and File.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, qsc.E("durable.ReadFile", qsc.Corrupt, "", "%s: %d bytes, at most %d are expected", name, n, limit)
	}
	b := make([]byte, n)
	if got, err := f.ReadAt(b, 0); got < len(b) {
		if err == io.EOF {
			err = qsc.E("durable.ReadFile", qsc.Corrupt, "", "%s: %d of %d bytes can be read", name, got, n)
		}
		return nil, err
	}
	return b, nil
}
