package node

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt/ledger"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/preshared"
)

// feed is a quantum link that hands a ledger the blocks that are put into it.
type feed struct {
	blocks chan quantum.KeyBlock
	want   int64 // blocks in all
	taken  atomic.Int64
	whole  chan struct{} // closed when all are taken
}

const feedAhead = 4 // blocks on their way into a ledger

func newFeed(blocks int) *feed {
	return &feed{blocks: make(chan quantum.KeyBlock, feedAhead), want: int64(blocks), whole: make(chan struct{})}
}

// Next implements quantum.Link.
func (f *feed) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	for {
		select {
		case b, ok := <-f.blocks:
			switch {
			case !ok:
				return b, qsc.E("feed.Next", qsc.Exhausted, "", "that was all")
			case want(b.Seq):
				return b, nil
			}
			b.Key.Zeroise() // a spare control block
			f.count()
		case <-ctx.Done():
			return quantum.KeyBlock{}, qsc.E("feed.Next", qsc.Timeout, "", "%w", context.Cause(ctx))
		}
	}
}

// Accept implements quantum.Link.
func (f *feed) Accept(quantum.KeyBlock) error { f.count(); return nil }

func (f *feed) count() {
	if f.taken.Add(1) == f.want {
		close(f.whole)
	}
}

// Status implements quantum.Link.
func (f *feed) Status() quantum.Status { return quantum.Status{Kind: "feed", NextBlock: -1} }

// Close implements quantum.Link.
func (f *feed) Close() error { return nil }

// fillLedgers makes blocks of the operating system's random bytes and stores each
// in the ledgers of both ends, whose nodes must not run.
func fillLedgers(ctx context.Context, net *Network, data string, l Link, seqs []uint64, progress func(done, total int64)) error {
	g, ctx := errgroup.WithContext(ctx)
	var feeds [2]*feed
	for i := range l.Ends {
		feeds[i] = newFeed(len(seqs))
		dir := dirOf(net, data, l.Ends[i])
		g.Go(func() error { return fillLedger(ctx, dir, l, i, feeds[i]) })
	}
	g.Go(func() error { return makeBlocks(ctx, l, seqs, feeds, progress) })
	return g.Wait()
}

// fillLedger runs one end's ledger until it has stored all.
func fillLedger(ctx context.Context, dir string, l Link, end int, f *feed) (err error) {
	path := filepath.Join(dir, linkDir(l.ID, ledgerDir))
	if err := os.MkdirAll(path, 0o700); err != nil {
		return qsc.E("node.Found", qsc.Invalid, path, "%w", err)
	}
	d, err := durable.Dir(path)
	if err != nil {
		return err
	}
	defer d.Close()
	led, err := ledger.Open(ledger.Config{
		FS: d, Link: l.ID, Ends: l.Ends, End: end, Block: l.Block, Pad: l.Pad, Source: f, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer func() {
		if e := led.Close(); err == nil {
			err = e
		}
	}()
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-f.whole:
			return nil
		case <-ctx.Done():
			return qsc.E("node.Found", qsc.Timeout, string(l.ID), "given up: %w", context.Cause(ctx))
		case <-t.C:
			if a := led.Status().Alarms; len(a) > 0 {
				return qsc.E("node.Found", qsc.NoSpace, string(l.ID), "the first key cannot be stored: %s", strings.Join(a, "; "))
			}
		}
	}
}

// makeBlocks gives both ends the same blocks.
func makeBlocks(ctx context.Context, l Link, seqs []uint64, feeds [2]*feed, progress func(done, total int64)) error {
	now := time.Now()
	for i, seq := range seqs {
		key := make([]byte, l.Block)
		if _, err := io.ReadFull(rand.Reader, key); err != nil {
			return err
		}
		b := quantum.KeyBlock{Link: l.ID, ID: qsc.KeyID(uuid.New()), Seq: seq, Bound: preshared.Bound, Class: qsc.OSRandom, ProducedAt: now}
		for e, f := range feeds {
			b.Key = qsc.NewSecret(key)
			if e == 0 {
				b.Key = qsc.NewSecret(append([]byte(nil), key...))
			}
			select {
			case f.blocks <- b:
			case <-ctx.Done():
				return qsc.E("node.Found", qsc.Timeout, string(l.ID), "given up: %w", context.Cause(ctx))
			}
		}
		progress(int64(i+1)*l.Block, int64(len(seqs))*l.Block)
	}
	return nil
}
