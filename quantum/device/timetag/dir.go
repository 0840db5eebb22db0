package timetag

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/device/watch"
)

// A tagger's directory holds a packet of type 1 for each epoch, named by it. The
// packet is whole once its end is there, whoever writes it and however slowly.

// maxRawFile bounds what is read of one file.
const maxRawFile = rawHead + 8*(MaxEvents+1)

// dir reads a tagger's directory as it grows.
type dir struct {
	root  *os.Root
	watch *watch.Watcher
}

func openDir(path string) (*dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, qsc.E("timetag.New", qsc.NotFound, "", "the tagger's directory: %w", err)
	}
	w, err := watch.Dir(path)
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return &dir{root, w}, nil
}

func (d *dir) close() {
	d.watch.Close()
	_ = d.root.Close()
}

// read returns the packet of an epoch; nil while it is not there or not whole.
// Errors: Corrupt, Denied, Other.
func (d *dir) read(e Epoch) (*Raw, error) {
	f, err := d.root.Open(e.String())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, qsc.E("timetag.Read", qsc.Denied, "", "%w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRawFile+1))
	if err != nil {
		return nil, corrupt("the file of epoch %v cannot be read: %w", e, err)
	}
	if len(b) > maxRawFile {
		return nil, corrupt("the file of epoch %v is longer than %d bytes", e, maxRawFile)
	}
	r, whole, err := parseRaw(b)
	clear(b)
	if err != nil || !whole {
		return nil, err
	}
	if r.Epoch != e || !r.Universal {
		return nil, corrupt("the file of epoch %v holds epoch %v, or one that is not counted from 1970", e, r.Epoch)
	}
	return r, nil
}

// remove removes the file of an epoch, if there is one. What cannot be removed stays
// for the operator to see.
func (d *dir) remove(e Epoch) { _ = d.root.Remove(e.String()) }

// newest is the latest epoch that has a file, within half the range after e.
func (d *dir) newest(e Epoch) (last Epoch, ok bool) {
	f, err := d.root.Open(".")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	for _, name := range names {
		if n, err := ParseEpoch(name); err == nil && int32(n-e) >= 0 && (!ok || int32(n-last) > 0) {
			last, ok = n, true
		}
	}
	return last, ok
}

// await returns the packet of an epoch as soon as it is whole. An epoch that the
// tagger has passed over, or that does not come in the time given, is nil. Errors: as
// read; Timeout when ctx ends.
func (d *dir) await(ctx context.Context, e Epoch, patience time.Duration) (*Raw, error) {
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		r, err := d.read(e)
		if r != nil || err != nil {
			return r, err
		}
		if last, ok := d.newest(e); ok && last-e >= 2 { // one may be written while its forerunner is
			return d.read(e)
		}
		select {
		case <-d.watch.Changed():
		case <-end.C:
			return nil, nil
		case <-ctx.Done():
			return nil, qsc.E("timetag.Sift", qsc.Timeout, "", "%w", context.Cause(ctx))
		}
	}
}

// simulatedMark is a file that says that a directory's events were drawn.
const simulatedMark = "simulated"

// simulated reports whether they were.
func (d *dir) simulated() bool {
	_, err := d.root.Stat(simulatedMark)
	return err == nil
}

// WriteRaw puts the packet of an epoch into a directory: whole, or not at all. Errors:
// Exists when there is one, and those of the file system.
func WriteRaw(root *os.Root, r *Raw) error {
	name := r.Epoch.String()
	if _, err := root.Stat(name); err == nil {
		return qsc.E("timetag.WriteRaw", qsc.Exists, "", "epoch %s is there already", name)
	}
	if err := root.WriteFile(name+".new", r.Append(nil), 0o600); err != nil {
		return qsc.E("timetag.WriteRaw", qsc.Other, "", "%w", err)
	}
	if err := root.Rename(name+".new", name); err != nil {
		return qsc.E("timetag.WriteRaw", qsc.Other, "", "%w", err)
	}
	return nil
}
