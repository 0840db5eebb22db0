// Package preshared is the quantum link of a courier: random blocks that were
// written at both ends of a link, on a disk that somebody trusted has carried.
//
// It makes no key of its own and moves none: Provision writes both ends where
// one program reaches both directories, and a stock file may as well be copied
// by hand.
package preshared

import (
	"context"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Bound is what the blocks name as the bound they were made under.
const Bound = "couriered"

// syncEvery is how many taken blocks share one sync.
const syncEvery = 64

// Config describes one end.
type Config struct {
	FS    durable.FS // the stock directory; stays the caller's
	Link  qsc.LinkID
	Epoch uint32
	Block int64 // bytes in a block
}

// Link implements quantum.Link.
type Link struct {
	cfg Config

	mu     sync.Mutex
	files  []*stock
	known  map[string]bool // names that were looked at
	class  qsc.Class
	alarm  string
	closed bool
}

// stock is one open stock file.
type stock struct {
	name  string
	file  durable.File
	head  header
	recs  []record
	left  int
	dirty int // taken since the last sync
}

var _ quantum.Link = (*Link)(nil)

// Open opens one end. Stock that arrives later is found by Next.
func Open(cfg Config) (*Link, error) {
	l := &Link{cfg: cfg, known: map[string]bool{}}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l, l.look()
}

// look opens the stock files that are new. One that is damaged or another
// link's raises the alarm and is left alone.
func (l *Link) look() error {
	list, err := l.cfg.FS.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range list {
		name := e.Name()
		if l.known[name] || !strings.HasSuffix(name, stockSuffix) {
			continue
		}
		l.known[name] = true
		if err := l.add(name); err != nil {
			l.alarm = "stock file " + name + " is not used: " + err.Error()
		}
	}
	slices.SortFunc(l.files, func(a, b *stock) int { return strings.Compare(a.name, b.name) })
	return nil
}

func (l *Link) add(name string) error {
	s, err := openStock(l.cfg.FS, name)
	if err != nil {
		return err
	}
	if s.head.link != l.cfg.Link || s.head.epoch != l.cfg.Epoch || s.head.block != l.cfg.Block {
		_ = s.file.Close()
		return qsc.E("preshared.Open", qsc.Conflict, string(l.cfg.Link), "it is of link %s, epoch %d, blocks of %d bytes; this is epoch %d with %d", s.head.link, s.head.epoch, s.head.block, l.cfg.Epoch, l.cfg.Block)
	}
	l.class |= s.head.class
	if s.left == 0 {
		return l.retire(s)
	}
	l.files = append(l.files, s)
	return nil
}

func openStock(d durable.FS, name string) (*stock, error) {
	f, err := d.Open(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	s := &stock{name: name, file: f}
	if err := s.load(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

func (s *stock) load() error {
	head := make([]byte, headerSize)
	if _, err := s.file.ReadAt(head, 0); err != nil {
		return qsc.E("preshared.Open", qsc.Corrupt, "", "stock file: the header cannot be read: %w", err)
	}
	var err error
	if s.head, err = parseHeader(head); err != nil {
		return err
	}
	size, err := s.file.Size()
	if err != nil {
		return err
	}
	if size < dataStart(s.head.count)+s.head.count*s.head.block {
		return qsc.E("preshared.Open", qsc.Corrupt, "", "stock file: it is cut short")
	}
	recs := make([]byte, s.head.count*recordSize)
	if _, err := s.file.ReadAt(recs, headerSize); err != nil {
		return err
	}
	if s.recs, err = parseRecords(recs, s.head.count); err != nil {
		return err
	}
	for _, r := range s.recs {
		if !r.taken {
			s.left++
		}
	}
	return nil
}

// Next implements quantum.Link. It never waits: what is not here may be carried
// here at any time, and the caller asks again.
func (l *Link) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(ctx); err != nil {
		return quantum.KeyBlock{}, err
	}
	for {
		s, i := l.find(want)
		if s == nil {
			if err := l.look(); err != nil {
				return quantum.KeyBlock{}, err
			}
			if s, i = l.find(want); s == nil {
				break
			}
		}
		b, err := l.read(s, i)
		if err != nil || b.Key.Len() > 0 {
			return b, err
		}
	}
	return quantum.KeyBlock{}, qsc.E("preshared.Next", qsc.Exhausted, string(l.cfg.Link), "the courier has brought no more key: run \"qsc link provision %s\"", l.cfg.Link)
}

// find returns the first block that is there and wanted.
func (l *Link) find(want func(uint64) bool) (*stock, int) {
	for _, s := range l.files {
		for i := range s.recs {
			if r := &s.recs[i]; !r.taken && want(r.seq) {
				return s, i
			}
		}
	}
	return nil, 0
}

func (l *Link) usable(ctx context.Context) error {
	if l.closed {
		return qsc.E("preshared.Next", qsc.Unreachable, string(l.cfg.Link), "the link is closed")
	}
	if ctx.Err() != nil {
		return qsc.E("preshared.Next", qsc.Timeout, string(l.cfg.Link), "%w", context.Cause(ctx))
	}
	return nil
}

// read returns a block. One that is damaged is given up: it is reported once and
// never served. One that reads as zeros was taken before a crash that kept the
// zeros and lost the mark: it is no loss.
func (l *Link) read(s *stock, i int) (quantum.KeyBlock, error) {
	r := &s.recs[i]
	key := make([]byte, s.head.block)
	_, err := s.file.ReadAt(key, s.offset(i))
	if err == nil && crc32.Checksum(key, castagnoli) == r.sum {
		return quantum.KeyBlock{
			Link: l.cfg.Link, ID: r.id, Epoch: s.head.epoch, Seq: r.seq, Key: qsc.NewSecret(key),
			Bound: Bound, Class: s.head.class, ProducedAt: s.head.created,
		}, nil
	}
	if err == nil && erased(key) {
		return quantum.KeyBlock{}, l.take(s, i)
	}
	if err == nil {
		err = errors.New("its checksum is wrong")
	}
	l.alarm = "a couriered block was damaged and is lost"
	if e := l.take(s, i); e != nil {
		err = errors.Join(err, e)
	}
	return quantum.KeyBlock{}, qsc.E("preshared.Next", qsc.Corrupt, string(l.cfg.Link), "block %d of stock file %s is lost: %w", s.recs[i].seq, s.name, err)
}

func erased(b []byte) bool {
	var x byte
	for _, v := range b {
		x |= v
	}
	return x == 0
}

func (s *stock) offset(i int) int64 { return dataStart(s.head.count) + int64(i)*s.head.block }

// Accept implements quantum.Link. The copy is overwritten in place; the sync is
// shared with those that follow. After a crash before it the block may be
// offered again, which the caller does not want any more.
func (l *Link) Accept(b quantum.KeyBlock) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.files {
		if i, ok := slices.BinarySearchFunc(s.recs, b.Seq, func(r record, seq uint64) int { return compare(r.seq, seq) }); ok {
			if s.recs[i].taken {
				return nil
			}
			return l.take(s, i)
		}
	}
	return nil
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// take marks a block as taken and overwrites it. Order of system calls: the mark,
// the zeros, and one fdatasync for both; then, when the file is empty, its
// removal and the sync of the directory.
func (l *Link) take(s *stock, i int) error {
	if _, err := s.file.WriteAt([]byte{takenMark}, headerSize+int64(i)*recordSize+takenAt); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(make([]byte, s.head.block), s.offset(i)); err != nil {
		return err
	}
	s.recs[i].taken = true
	s.left--
	s.dirty++
	if s.left > 0 && s.dirty < syncEvery {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.dirty = 0
	if s.left == 0 {
		return l.retire(s)
	}
	return nil
}

// retire removes a stock file that holds no key any more.
func (l *Link) retire(s *stock) error {
	l.files = slices.DeleteFunc(l.files, func(x *stock) bool { return x == s })
	if err := s.file.Close(); err != nil {
		return err
	}
	if err := l.cfg.FS.Remove(s.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return l.cfg.FS.SyncDir(".")
}

// Status implements quantum.Link.
func (l *Link) Status() quantum.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := quantum.Status{Kind: "preshared", NextBlock: -1, Alarm: l.alarm, Class: l.class}
	for _, s := range l.files {
		st.Waiting += int64(s.left) * s.head.block
	}
	return st
}

// Close implements quantum.Link.
func (l *Link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var errs []error
	for _, s := range l.files {
		if s.dirty > 0 {
			errs = append(errs, s.file.Sync())
		}
		errs = append(errs, s.file.Close())
	}
	l.files = nil
	return errors.Join(errs...)
}
