package durable

import (
	"io"
	"io/fs"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"golang.org/x/sys/unix"
)

type memFile struct {
	d    *Disk
	in   *inode
	name string
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if off < 0 {
		return 0, fail("ReadAt", f.name, fs.ErrInvalid)
	}
	if off >= int64(len(f.in.cur)) {
		return 0, io.EOF
	}
	n := copy(p, f.in.cur[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if off < 0 {
		return 0, fail("WriteAt", f.name, fs.ErrInvalid)
	}
	if err := f.grow(off + int64(len(p))); err != nil {
		return 0, fail("WriteAt", f.name, err)
	}
	return copy(f.in.cur[off:], p), nil
}

// grow makes the file at least size bytes long.
func (f *memFile) grow(size int64) error {
	more := size - int64(len(f.in.cur))
	switch {
	case more <= 0:
		return nil
	case f.in.maps > 0:
		return qsc.E("durable.Mem", qsc.Invalid, "", "%s is mapped and cannot grow", f.name)
	case more > f.d.free():
		return unix.ENOSPC
	}
	f.in.cur = slices.Grow(f.in.cur, int(more))[:size]
	return nil
}

func (f *memFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.in.disk = append(f.in.disk[:0], f.in.cur...)
	return nil
}

func (f *memFile) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if size < int64(len(f.in.cur)) {
		clear(f.in.cur[size:])
		f.in.cur = f.in.cur[:size]
		return nil
	}
	return fail("Truncate", f.name, f.grow(size))
}

func (f *memFile) Allocate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return fail("Allocate", f.name, f.grow(size))
}

func (f *memFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.in.cur)), nil
}

func (f *memFile) Flush(int64, int64) error { return nil }

func (f *memFile) Map(off, n int64) (Mapping, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := checkMap(f.name, off, n, int64(len(f.in.cur))); err != nil {
		return nil, err
	}
	f.in.maps++
	return &memMapping{f: f, off: off, b: f.in.cur[off : off+n]}, nil
}

func (f *memFile) Close() error { return nil }

type memMapping struct {
	f   *memFile
	off int64
	b   []byte
}

func (m *memMapping) Bytes() []byte { return m.b }

// Sync keeps exactly the range, not its whole pages: the least a system does.
func (m *memMapping) Fetch(int64, int64) {}

func (m *memMapping) Sync(off, n int64) error {
	m.f.d.mu.Lock()
	defer m.f.d.mu.Unlock()
	if off < 0 || n < 0 || n > int64(len(m.b))-off {
		return fail("Msync", m.f.name, fs.ErrInvalid)
	}
	in := m.f.in
	if len(in.disk) < len(in.cur) {
		in.disk = append(in.disk, make([]byte, len(in.cur)-len(in.disk))...)
	}
	copy(in.disk[m.off+off:], m.b[off:off+n])
	return nil
}

func (m *memMapping) Unmap() error {
	m.f.d.mu.Lock()
	defer m.f.d.mu.Unlock()
	if m.b != nil {
		m.b = nil
		m.f.in.maps--
	}
	return nil
}
