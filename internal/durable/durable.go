// Package durable is the thin layer between a floor and its files, for code
// that has to know exactly which bytes survive a crash: data sync, directory
// sync, really reserved space and shared mappings, each with its error kind,
// and two test doubles, a disk in memory that forgets what was not synced and
// a wrapper that fails any persisting step.
//
// It buffers nothing, retries nothing and knows no file format. A call that
// failed may have had any part of its effect: after an error of Sync, SyncDir
// or Mapping.Sync the only safe assumption is that nothing since the last
// success is durable, and the caller must stop using the file (Linux reports a
// lost write-back once and then forgets it).
package durable

import (
	"errors"
	"io"
	"io/fs"

	"github.com/quantum-secure-cloud/qsc"
	"golang.org/x/sys/unix"
)

// FS is one directory tree. Names are slash-separated, relative and local;
// nothing outside the tree can be reached. The methods may be called from
// several goroutines.
//
// Errors of all methods: NotFound, Exists, Denied, NoSpace (disk or quota
// full), Other; the cause is kept, so errors.Is(err, fs.ErrNotExist) works.
type FS interface {
	// Open opens a file with the flags of os.OpenFile. A file created here is
	// durable by name only after SyncDir of its directory.
	Open(name string, flag int, perm fs.FileMode) (File, error)
	// Rename replaces new by old atomically; durable after SyncDir.
	Rename(old, new string) error
	// Remove removes a file or an empty directory; durable after SyncDir.
	Remove(name string) error
	// Mkdir makes one directory; durable after SyncDir of its parent.
	Mkdir(name string, perm fs.FileMode) error
	// ReadDir lists a directory, sorted by name. The root is ".".
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat describes a file.
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
	// Free returns how many bytes the file system still gives to this user.
	Free() (int64, error)
	// Close releases the tree; open files stay usable.
	Close() error
}

// File is one open file. ReadAt and WriteAt keep the contracts of package io,
// a bare io.EOF included. The methods may be called from several goroutines.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Sync makes the content and the size durable (fdatasync where there is
	// one, F_FULLFSYNC on darwin).
	Sync() error
	// Truncate sets the size.
	Truncate(size int64) error
	// Allocate grows the file to at least size bytes and really reserves their
	// blocks, so that a later write into them cannot meet a full disk: by
	// fallocate on Linux, by writing zeros elsewhere. Error: NoSpace, with the
	// file possibly grown in part.
	Allocate(size int64) error
	// Size returns the present size in bytes.
	Size() (int64, error)
	// Flush starts write-back of the range without waiting for it. It promises
	// nothing; it only makes a later Sync shorter. No operation but on Linux.
	Flush(off, n int64) error
	// Map maps n bytes at off, a multiple of the page size, shared and
	// writable, and kept out of core dumps where the system can. The range
	// must lie within the file, and be allocated: a store into a hole of a full
	// disk kills the process. Error: Invalid.
	Map(off, n int64) (Mapping, error)
	// Close closes the file; its mappings stay.
	Close() error
}

// Mapping is a range of a file in memory.
type Mapping interface {
	// Bytes returns the memory itself. It must not be touched after Unmap.
	Bytes() []byte
	// Fetch says that n bytes at off will be used soon: they may be read from the
	// disk meanwhile. It waits for nothing and promises nothing.
	Fetch(off, n int64)
	// Sync makes n bytes at off of the mapping durable.
	Sync(off, n int64) error
	// Unmap ends the mapping. A second call does nothing.
	Unmap() error
}

// fail gives err its kind. An *qsc.Error passes unchanged, so does io.EOF.
func fail(op, name string, err error) error {
	var q *qsc.Error
	if err == nil || err == io.EOF || errors.As(err, &q) {
		return err
	}
	return &qsc.Error{Op: "durable." + op, Kind: kindOf(err), Err: &nameError{name, err}}
}

// nameError prints the name once, whether or not the cause has it.
type nameError struct {
	name string
	err  error
}

func (e *nameError) Error() string {
	var p *fs.PathError
	if e.name == "" || errors.As(e.err, &p) {
		return e.err.Error()
	}
	return e.name + ": " + e.err.Error()
}

func (e *nameError) Unwrap() error { return e.err }

func kindOf(err error) qsc.Kind {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return qsc.NoSpace
	case errors.Is(err, fs.ErrNotExist):
		return qsc.NotFound
	case errors.Is(err, fs.ErrExist):
		return qsc.Exists
	case errors.Is(err, fs.ErrPermission):
		return qsc.Denied
	case errors.Is(err, fs.ErrInvalid):
		return qsc.Invalid
	}
	return qsc.Other
}
