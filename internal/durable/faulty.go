package durable

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"golang.org/x/sys/unix"
)

// ErrInjected is the cause of every error that Faulty makes, NoSpace apart.
var ErrInjected = errors.New("injected fault")

// Mode says what happens at the faulty step.
type Mode uint8

// The ways a step can fail.
const (
	Lost  Mode = iota // no effect, error
	Kept              // full effect, error all the same
	Torn              // a write has half of its effect, other steps none; error
	Full              // no effect, NoSpace
	modes             // how many there are
)

// Modes lists every Mode, for fault matrices.
func Modes() []Mode {
	all := make([]Mode, modes)
	for i := range all {
		all[i] = Mode(i)
	}
	return all
}

func (m Mode) String() string { return [...]string{"lost", "kept", "torn", "full"}[m] }

// Plan says which persisting step fails, counted from 1 over the life of the
// Faults; 0 is none. After a Crash every later step and every Open, Map and
// read fails too, as for a dead process.
type Plan struct {
	Step  int64
	Mode  Mode
	Crash bool
}

// Faults is an FS that counts persisting steps (WriteAt, Sync, Truncate,
// Allocate, Open that may create, Rename, Remove, Mkdir, SyncDir, Mapping.Sync)
// and fails one by plan. Stores into mapped memory are not steps.
type Faults struct {
	fs   FS
	mu   sync.Mutex
	plan Plan
	step int64
	dead bool
}

// Faulty wraps fs.
func Faulty(fs FS, p Plan) *Faults { return &Faults{fs: fs, plan: p} }

// Steps returns how many persisting steps were begun.
func (f *Faults) Steps() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.step
}

// Crashed reports whether a planned crash has happened.
func (f *Faults) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// Arm replaces the plan; p.Step counts from here on.
func (f *Faults) Arm(p Plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.Step > 0 {
		p.Step += f.step
	}
	f.plan = p
}

// do runs one persisting step; torn is its half effect and may be nil.
func (f *Faults) do(effect, torn func() error) error {
	f.mu.Lock()
	f.step++
	hit, dead, p := f.step == f.plan.Step, f.dead, f.plan
	f.dead = dead || hit && p.Crash
	f.mu.Unlock()
	switch {
	case dead:
		return ErrInjected
	case !hit:
		return effect()
	}
	switch {
	case p.Mode == Kept:
		_ = effect()
	case p.Mode == Torn && torn != nil:
		_ = torn()
	case p.Mode == Full:
		return qsc.E("durable.Faulty", qsc.NoSpace, "", "%w", unix.ENOSPC)
	}
	return ErrInjected
}

func (f *Faults) alive() error {
	if f.Crashed() {
		return ErrInjected
	}
	return nil
}

// Open implements FS.
func (f *Faults) Open(name string, flag int, perm fs.FileMode) (file File, err error) {
	open := func() error {
		file, err = f.fs.Open(name, flag, perm)
		return err
	}
	if flag&(unix.O_CREAT|unix.O_TRUNC) == 0 {
		if err := f.alive(); err != nil {
			return nil, err
		}
		err = open()
	} else {
		err = f.do(open, nil)
	}
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

// Rename implements FS.
func (f *Faults) Rename(from, to string) error {
	return f.do(func() error { return f.fs.Rename(from, to) }, nil)
}

// Remove implements FS.
func (f *Faults) Remove(name string) error {
	return f.do(func() error { return f.fs.Remove(name) }, nil)
}

// Mkdir implements FS.
func (f *Faults) Mkdir(name string, perm fs.FileMode) error {
	return f.do(func() error { return f.fs.Mkdir(name, perm) }, nil)
}

// SyncDir implements FS.
func (f *Faults) SyncDir(name string) error {
	return f.do(func() error { return f.fs.SyncDir(name) }, nil)
}

// ReadDir implements FS.
func (f *Faults) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.alive(); err != nil {
		return nil, err
	}
	return f.fs.ReadDir(name)
}

// Stat implements FS.
func (f *Faults) Stat(name string) (fs.FileInfo, error) {
	if err := f.alive(); err != nil {
		return nil, err
	}
	return f.fs.Stat(name)
}

// Free implements FS.
func (f *Faults) Free() (int64, error) { return f.fs.Free() }

// Close implements FS.
func (f *Faults) Close() error { return f.fs.Close() }

type faultyFile struct {
	File
	f *Faults
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.f.alive(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (n int, err error) {
	write := func(p []byte) func() error {
		return func() (err error) {
			n, err = f.File.WriteAt(p, off)
			return err
		}
	}
	err = f.f.do(write(p), write(p[:len(p)/2]))
	return n, err
}

func (f *faultyFile) Sync() error { return f.f.do(f.File.Sync, nil) }

func (f *faultyFile) Truncate(size int64) error {
	return f.f.do(func() error { return f.File.Truncate(size) }, nil)
}

func (f *faultyFile) Allocate(size int64) error {
	return f.f.do(func() error { return f.File.Allocate(size) }, nil)
}

func (f *faultyFile) Map(off, n int64) (Mapping, error) {
	if err := f.f.alive(); err != nil {
		return nil, err
	}
	m, err := f.File.Map(off, n)
	if err != nil {
		return nil, err
	}
	return &faultyMapping{m, f.f}, nil
}

type faultyMapping struct {
	Mapping
	f *Faults
}

func (m *faultyMapping) Sync(off, n int64) error {
	return m.f.do(func() error { return m.Mapping.Sync(off, n) }, nil)
}
