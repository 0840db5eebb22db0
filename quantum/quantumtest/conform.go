// Package quantumtest is the conformance kit that every quantum link passes:
// real, couriered or simulated. It is imported by tests only.
package quantumtest

import (
	"context"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Pair makes the two ends of one link, able to deliver at least Blocks blocks
// of Block bytes each within a few seconds.
type Pair struct {
	Link  qsc.LinkID
	Epoch uint32
	Block int64
	// Open opens an end, again after Close.
	Open func(t *testing.T, end int) quantum.Link
	// Keeps says that unwanted and unaccepted blocks are kept, as by a stock.
	Keeps bool
}

// Blocks is how many blocks the kit needs.
const Blocks = 16

// Conform runs the kit. fresh makes a new pair for every part.
func Conform(t *testing.T, fresh func(t *testing.T) Pair) {
	parts := []struct {
		name string
		run  func(*testing.T, Pair)
	}{{"same at both ends", same}, {"rising and wanted only", rising}, {"reopened", reopened}, {"cancelled", cancelled}, {"closed", closed}}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, fresh(t)) })
	}
}

func all(uint64) bool { return true }

// next takes a block and checks what every block must be.
func next(t *testing.T, p Pair, l quantum.Link, want func(uint64) bool) quantum.KeyBlock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	b, err := l.Next(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case b.Link != p.Link || b.Epoch != p.Epoch:
		t.Fatalf("block of link %q, epoch %d", b.Link, b.Epoch)
	case int64(b.Key.Len()) != p.Block:
		t.Fatalf("block of %d bytes, not %d", b.Key.Len(), p.Block)
	case !want(b.Seq):
		t.Fatalf("block %d was not wanted", b.Seq)
	case b.Bound == "" || b.ProducedAt.IsZero():
		t.Fatal("block without bound or date")
	case b.Key.Equal(qsc.NewSecret(make([]byte, p.Block))):
		t.Fatal("block of zeros")
	}
	return b
}

// equal compares what must be equal at both ends.
func equal(t *testing.T, a, b quantum.KeyBlock) {
	t.Helper()
	if a.Seq != b.Seq || a.ID != b.ID || a.Class != b.Class || a.Bound != b.Bound || !a.ProducedAt.Equal(b.ProducedAt) || !a.Key.Equal(b.Key) {
		t.Fatalf("the ends disagree on block %d", a.Seq)
	}
}

func same(t *testing.T, p Pair) {
	a, b := p.Open(t, 0), p.Open(t, 1)
	defer a.Close()
	defer b.Close()
	at := map[uint64]quantum.KeyBlock{}
	ids := map[qsc.KeyID]bool{}
	for range Blocks / 2 {
		k := next(t, p, a, func(seq uint64) bool { return at[seq].Key.Len() == 0 })
		for _, old := range at {
			if old.Key.Equal(k.Key) {
				t.Fatal("two blocks are the same")
			}
		}
		if at[k.Seq] = k; ids[k.ID] {
			t.Fatal("two blocks have one identifier")
		}
		ids[k.ID] = true
		must(t, a.Accept(k))
	}
	for seq, k := range at {
		got := next(t, p, b, func(s uint64) bool { return s == seq })
		equal(t, k, got)
		must(t, b.Accept(got))
		if !p.Keeps {
			return // a live source lost the others
		}
	}
}

func rising(t *testing.T, p Pair) {
	l := p.Open(t, 0)
	defer l.Close()
	even := func(after int64) func(uint64) bool {
		return func(seq uint64) bool { return seq%2 == 0 && int64(seq) > after }
	}
	last := int64(-1)
	for range Blocks / 4 {
		k := next(t, p, l, even(last))
		last = int64(k.Seq)
		must(t, l.Accept(k))
	}
	if !p.Keeps {
		return
	}
	if k := next(t, p, l, all); k.Seq%2 == 0 || int64(k.Seq) > last {
		t.Fatalf("block %d came, though older ones were kept", k.Seq)
	}
}

// reopened: a block not accepted is redelivered or lost, never altered; one
// accepted never comes again from a stock.
func reopened(t *testing.T, p Pair) {
	l := p.Open(t, 0)
	first := next(t, p, l, all)
	must(t, l.Accept(first))
	second := next(t, p, l, func(seq uint64) bool { return seq > first.Seq })
	must(t, l.Close())
	l = p.Open(t, 0)
	defer l.Close()
	again := next(t, p, l, func(seq uint64) bool { return seq >= second.Seq || p.Keeps })
	if again.Seq == second.Seq {
		equal(t, second, again)
	} else if p.Keeps {
		t.Fatalf("block %d came, not %d, which was not accepted", again.Seq, second.Seq)
	}
}

func cancelled(t *testing.T, p Pair) {
	l := p.Open(t, 0)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := l.Next(ctx, func(uint64) bool { return false })
	if !qsc.IsKind(err, qsc.Timeout) && !qsc.IsKind(err, qsc.Exhausted) {
		t.Fatalf("nothing wanted: %v", err)
	}
	<-ctx.Done()
	if _, err := l.Next(ctx, func(uint64) bool { return false }); !qsc.IsKind(err, qsc.Timeout) {
		t.Fatalf("with a context that has ended: %v", err)
	}
	next(t, p, l, all)
}

func closed(t *testing.T, p Pair) {
	l := p.Open(t, 0)
	l.Status()
	must(t, l.Close())
	must(t, l.Close())
	if _, err := l.Next(t.Context(), func(uint64) bool { return false }); !qsc.IsKind(err, qsc.Unreachable) {
		t.Fatalf("after Close: %v", err)
	}
	l.Status()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
