// Package pool keeps a node's own stock of physical random bytes, brought from a
// quantum or other true random generator: every byte is handed out once and then
// overwritten. It feeds the coefficients of secret sharing (share.Source).
//
// It makes no randomness and judges none: that a file holds physical random
// bytes is what its bringer states.
package pool

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// ahead is how many bytes one durable mark gives free, at most; a crash burns
// what is left of them.
const ahead = 4 << 20

// Pool hands out the bytes of the pool files in a directory. It implements
// share.Source. Its methods may be called from several goroutines.
type Pool struct {
	fs durable.FS

	mu     sync.Mutex
	files  []*file
	bad    map[string]bool
	class  qsc.Class
	closed bool
}

// file is one open pool file.
type file struct {
	name string
	f    durable.File
	m    mark
	pos  int64 // next byte to hand out; pos ≤ m.spent
	zero int64 // bytes below this are overwritten, durably
}

// Open opens the pool in d, which stays the caller's. Bytes that a crash left
// marked but not overwritten are overwritten now. Files that are brought later
// are found when they are needed.
func Open(d durable.FS) (*Pool, error) {
	p := &Pool{fs: d, bad: map[string]bool{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p, p.look()
}

func (p *Pool) look() error {
	list, err := p.fs.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range list {
		name := e.Name()
		if !strings.HasSuffix(name, suffix) || p.bad[name] || slices.ContainsFunc(p.files, func(f *file) bool { return f.name == name }) {
			continue
		}
		f, err := p.load(name)
		if qsc.IsKind(err, qsc.Corrupt) {
			p.bad[name] = true
			continue
		}
		if err != nil {
			return err
		}
		p.files = append(p.files, f)
		p.class |= f.m.class
	}
	slices.SortFunc(p.files, func(a, b *file) int { return strings.Compare(a.name, b.name) })
	return nil
}

func (p *Pool) load(name string) (*file, error) {
	h, err := p.fs.Open(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	f := &file{name: name, f: h}
	front := make([]byte, 2*markSize)
	if _, err = h.ReadAt(front, 0); err != nil {
		err = qsc.E("pool.Open", qsc.Corrupt, name, "%w", err)
	} else if f.m, err = newest(front); err == nil {
		f.pos, f.zero = f.m.spent, f.m.erased
		err = f.erase(f.m.erased, f.m.spent)
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return f, nil
}

var zeros = make([]byte, 1<<20)

func (f *file) erase(from, to int64) error {
	for from < to {
		n := min(to-from, int64(len(zeros)))
		if _, err := f.f.WriteAt(zeros[:n], dataStart+from); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// Fill implements share.Source. When the pool runs dry nothing is handed out.
// Errors: Exhausted, NoSpace, Unreachable after Close.
func (p *Pool) Fill(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return qsc.E("pool.Fill", qsc.Unreachable, "", "the pool is closed")
	}
	if err := p.have(int64(len(b))); err != nil {
		return err
	}
	for len(b) > 0 {
		f := p.files[0]
		n := min(int64(len(b)), f.m.size-f.pos)
		if err := f.fill(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		if f.pos == f.m.size {
			if err := p.retire(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// have makes sure that n bytes are left.
func (p *Pool) have(n int64) error {
	if p.left() >= n {
		return nil
	}
	if err := p.look(); err != nil {
		return err
	}
	if left := p.left(); left < n {
		return qsc.E("pool.Fill", qsc.Exhausted, "", "the pool of physical random bytes has %d left, %d are needed: bring more (qsc pool provision)", left, n)
	}
	return nil
}

func (p *Pool) left() (n int64) {
	for _, f := range p.files {
		n += f.m.size - f.pos
	}
	return n
}

// fill hands out the next bytes of a file. Order of system calls: the mark and
// its fdatasync, then the read, then the zeros, which the next mark's fdatasync
// makes durable.
func (f *file) fill(b []byte) error {
	end := f.pos + int64(len(b))
	if end > f.m.spent {
		if err := f.advance(min(f.m.size, max(end, f.pos+ahead))); err != nil {
			return err
		}
	}
	at := f.pos
	f.pos = end // whatever fails from here on, these bytes are gone
	if _, err := f.f.ReadAt(b, dataStart+at); err != nil {
		return err
	}
	return f.erase(at, end)
}

// advance makes a mark durable; with it, all zeros written before. The mark
// itself speaks only of zeros that an earlier sync has made durable.
func (f *file) advance(spent int64) error {
	m := f.m
	m.number++
	m.spent, m.erased = spent, f.zero
	if _, err := f.f.WriteAt(m.marshal(), int64(m.number%2)*markSize); err != nil {
		return err
	}
	if err := f.f.Sync(); err != nil {
		return err
	}
	f.m, f.zero = m, f.pos
	return nil
}

// retire removes a file that is spent: its zeros first, durably.
func (p *Pool) retire(f *file) error {
	if err := errors.Join(f.f.Sync(), f.f.Close()); err != nil {
		return err
	}
	p.files = p.files[1:]
	if err := p.fs.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.fs.SyncDir(".")
}

// Class implements share.Source.
func (p *Pool) Class() qsc.Class {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.class
}

// Left returns how many bytes there are.
func (p *Pool) Left() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left()
}

// Close records the exact position, so that an orderly end burns nothing.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for _, f := range p.files {
		if f.pos < f.m.spent {
			errs = append(errs, f.advance(f.pos))
		}
		errs = append(errs, f.f.Close())
	}
	p.files = nil
	return errors.Join(errs...)
}
