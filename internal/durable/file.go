package durable

import (
	"errors"
	"os"

	"github.com/quantum-secure-cloud/qsc"
	"golang.org/x/sys/unix"
)

type file struct {
	f    *os.File
	name string
}

func (f file) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(p, off)
	return n, fail("ReadAt", f.name, err)
}

func (f file) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.f.WriteAt(p, off)
	return n, fail("WriteAt", f.name, err)
}

func (f file) Sync() error { return fail("Sync", f.name, syncData(f.f)) }

func (f file) Truncate(size int64) error { return fail("Truncate", f.name, f.f.Truncate(size)) }

func (f file) Allocate(size int64) error {
	have, err := f.Size()
	if err != nil || have >= size && size == 0 {
		return err
	}
	err = reserve(f.f, size)
	if errors.Is(err, errNoReserve) {
		err = fillZeros(f.f, have, size)
	}
	return fail("Allocate", f.name, err)
}

var errNoReserve = errors.New("the system cannot reserve blocks")

// fillZeros reserves blocks the plain way: by writing them.
func fillZeros(f *os.File, from, to int64) error {
	zeros := make([]byte, min(max(to-from, 0), 1<<20))
	for from < to {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

func (f file) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, fail("Size", f.name, err)
	}
	return info.Size(), nil
}

func (f file) Flush(off, n int64) error { return fail("Flush", f.name, startWriteback(f.f, off, n)) }

func (f file) Map(off, n int64) (Mapping, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if err := checkMap(f.name, off, n, size); err != nil {
		return nil, err
	}
	var b []byte
	err = onFd(f.f, func(fd int) (err error) {
		b, err = unix.Mmap(fd, off, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, fail("Map", f.name, err)
	}
	keepFromDumps(b)
	return &mapping{all: b, name: f.name}, nil
}

func checkMap(name string, off, n, size int64) error {
	page := int64(os.Getpagesize())
	if off < 0 || n <= 0 || off%page != 0 || n > size-off {
		return qsc.E("durable.Map", qsc.Invalid, "", "%s: cannot map %d bytes at %d of a file of %d bytes", name, n, off, size)
	}
	return nil
}

func (f file) Close() error { return fail("Close", f.name, f.f.Close()) }

type mapping struct {
	all  []byte
	name string
}

func (m *mapping) Bytes() []byte { return m.all }

func (m *mapping) Fetch(off, n int64) {
	first := off &^ int64(os.Getpagesize()-1)
	if off < 0 || n <= 0 || n > int64(len(m.all))-off {
		return
	}
	_ = unix.Madvise(m.all[first:off+n], unix.MADV_WILLNEED) // only a hint
}

func (m *mapping) Sync(off, n int64) error {
	if off < 0 || n < 0 || n > int64(len(m.all))-off {
		return qsc.E("durable.Msync", qsc.Invalid, "", "%s: range %d+%d lies outside the mapping", m.name, off, n)
	}
	if n == 0 {
		return nil
	}
	first := off &^ int64(os.Getpagesize()-1)
	return fail("Msync", m.name, unix.Msync(m.all[first:off+n], unix.MS_SYNC))
}

func (m *mapping) Unmap() error {
	if m.all == nil {
		return nil
	}
	b := m.all
	m.all = nil
	return fail("Unmap", m.name, unix.Munmap(b))
}
