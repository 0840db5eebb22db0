package preshared

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// Spec says what to provision.
type Spec struct {
	Link     qsc.LinkID
	Epoch    uint32
	Block    int64         // bytes in a block
	Ends     [2]durable.FS // the stock directories of both ends
	Seqs     []uint64      // of the blocks, rising, from NextSeq on; gaps are no fault
	Random   io.Reader     // the blocks' bytes
	Class    qsc.Class     // what Random rests on
	Progress func(done, total int64)
}

// counterFile holds the first seq that was never given out: 8 bytes, then their
// CRC-32C.
const counterFile = "next"

// NextSeq returns the first seq that neither end has ever been given.
func NextSeq(ends [2]durable.FS) (next uint64, err error) {
	for _, d := range ends {
		n, err := readCounter(d)
		if err != nil {
			return 0, err
		}
		next = max(next, n)
	}
	return next, nil
}

func readCounter(d durable.FS) (uint64, error) {
	f, err := d.Open(counterFile, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, 12)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return 0, err
	}
	if binary.BigEndian.Uint32(b[8:]) != crc32.Checksum(b[:8], castagnoli) {
		return 0, qsc.E("preshared.Provision", qsc.Corrupt, "", "the counter of given-out blocks is damaged: no block may be made under a number that may have served; stop both nodes, remove the link's directory (links/…) at both, and start anew")
	}
	return binary.BigEndian.Uint64(b), nil
}

func writeCounter(d durable.FS, next uint64) error {
	b := binary.BigEndian.AppendUint64(nil, next)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return durable.Replace(d, counterFile, b)
}

// Claim durably marks all seqs below next as given out at both ends, for one who
// brings their blocks to both ends by another way than a stock file.
func Claim(ends [2]durable.FS, next uint64) error {
	for _, d := range ends {
		if err := writeCounter(d, next); err != nil {
			return err
		}
	}
	return nil
}

// Provision writes the same random blocks at both ends, in constant memory.
//
// Order of system calls, so that one number never stands for two blocks:
//  1. at both ends the counter of given-out numbers is moved past the new ones:
//     temporary file, fdatasync, rename, sync of the directory;
//  2. at both ends the stock is written to a temporary file and synced;
//  3. at both ends it is renamed and the directory synced.
//
// A crash before 3 leaves nothing but a gap in the numbers; one between the two
// renames leaves one end ahead, whose blocks are burnt at the next reconnect.
// Errors: Invalid for a wrong spec or too few random bytes, NoSpace, Timeout when
// ctx ends; after each of them nothing was added.
func Provision(ctx context.Context, s Spec) error {
	next, err := NextSeq(s.Ends)
	if err != nil {
		return err
	}
	if err := s.check(next); err != nil {
		return err
	}
	for _, d := range s.Ends {
		sweep(d)
	}
	if err := Claim(s.Ends, s.Seqs[len(s.Seqs)-1]+1); err != nil {
		return err
	}
	name := fileName(s.Epoch, s.Seqs[0])
	if err := s.write(ctx, name+tmpSuffix); err != nil {
		for _, d := range s.Ends {
			sweep(d)
		}
		return err
	}
	for _, d := range s.Ends {
		if err := d.Rename(name+tmpSuffix, name); err != nil {
			return err
		}
		if err := d.SyncDir("."); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spec) check(next uint64) error {
	bad := func(format string, args ...any) error {
		return qsc.E("preshared.Provision", qsc.Invalid, string(s.Link), format, args...)
	}
	switch {
	case len(s.Link) == 0 || len(s.Link) > maxName:
		return bad("the link's name has %d bytes", len(s.Link))
	case s.Block < minBlock || s.Block > maxBlock:
		return bad("blocks of %d bytes: give %d to %d", s.Block, minBlock, maxBlock)
	case len(s.Seqs) == 0 || len(s.Seqs) > maxBlocks:
		return bad("%d blocks: give 1 to %d at a time", len(s.Seqs), maxBlocks)
	case s.Seqs[0] < next:
		return bad("block %d was given out before: begin at %d", s.Seqs[0], next)
	}
	for i := 1; i < len(s.Seqs); i++ {
		if s.Seqs[i] <= s.Seqs[i-1] {
			return bad("the block numbers do not rise")
		}
	}
	return nil
}

// sweep removes what an interrupted run has left.
func sweep(d durable.FS) {
	list, err := d.ReadDir(".")
	if err != nil {
		return
	}
	for _, e := range list {
		if strings.HasSuffix(e.Name(), stockSuffix+tmpSuffix) {
			_ = d.Remove(e.Name()) // the next run tries again
		}
	}
}

// write streams the blocks to both ends and syncs them.
func (s *Spec) write(ctx context.Context, name string) (err error) {
	var files [2]durable.File
	defer func() {
		for _, f := range files {
			if f != nil {
				err = errors.Join(err, f.Close())
			}
		}
	}()
	count := int64(len(s.Seqs))
	for i, d := range s.Ends {
		if files[i], err = d.Open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return err
		}
		if err = files[i].Allocate(dataStart(count) + count*s.Block); err != nil {
			return err
		}
	}
	recs, err := s.blocks(ctx, files)
	if err != nil {
		return err
	}
	h := header{class: s.Class, epoch: s.Epoch, block: s.Block, count: count, created: time.Now(), link: s.Link}
	front := append(h.marshal(), recs...)
	for _, f := range files {
		if _, err := f.WriteAt(front, 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// blocks writes the blocks and returns their records.
func (s *Spec) blocks(ctx context.Context, files [2]durable.File) ([]byte, error) {
	count := int64(len(s.Seqs))
	recs := make([]byte, count*recordSize)
	key := make([]byte, s.Block)
	defer clear(key)
	for i := range s.Seqs {
		if ctx.Err() != nil {
			return nil, qsc.E("preshared.Provision", qsc.Timeout, string(s.Link), "given up: %w", context.Cause(ctx))
		}
		if n, err := io.ReadFull(s.Random, key); err != nil {
			return nil, qsc.E("preshared.Provision", qsc.Invalid, string(s.Link), "the random source ended after %d of %d bytes, all of which count as spent: %w", int64(i)*s.Block+int64(n), count*s.Block, err)
		}
		off := dataStart(count) + int64(i)*s.Block
		for _, f := range files {
			if _, err := f.WriteAt(key, off); err != nil {
				return nil, err
			}
			_ = f.Flush(off, s.Block) // only a hint
		}
		r := record{seq: s.Seqs[i], id: qsc.KeyID(uuid.New()), sum: crc32.Checksum(key, castagnoli)}
		r.marshal(recs[i*recordSize:])
		if s.Progress != nil {
			s.Progress(int64(i+1)*s.Block, count*s.Block)
		}
	}
	return recs, nil
}
