package distilltest

import (
	"context"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// Links founds and opens both ends of a link between two simulated devices: over TCP
// on this machine, with directories in memory, in blocks of 512 bytes. reconciler
// makes what an end corrects its errors with; nil: the protocol has corrected them.
func Links(t testing.TB, d distill.Runnable, s distill.Setup, reconciler func() distill.Reconciler) (ends [2]*distill.Link) {
	t.Helper()
	dirs := [2]durable.FS{durable.Mem(1 << 26), durable.Mem(1 << 26)}
	if err := distill.Found(dirs, rand.NewChaCha8([32]byte{})); err != nil {
		t.Fatal(err)
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range ends {
		s.Role = distill.Role(i)
		p, err := d.Protocol(s)
		if err != nil {
			t.Fatal(err)
		}
		c := distill.Config{Link: "ab", Role: s.Role, Block: 512, FS: dirs[i], Protocol: p, Device: "test", Kind: d.Kind(), Class: qsc.Simulated}
		if reconciler != nil {
			c.Reconciler = reconciler()
		}
		if s.Role == distill.Alice {
			c.Listen = listen
		} else {
			c.Dial = func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", listen.Addr().String())
			}
		}
		if ends[i], err = distill.Open(c); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ends[i].Close() })
	}
	return ends
}

// First waits for the first block of key and the record of its round, and fails the
// test unless both are the same at both ends and the block says that it is simulated.
func First(ctx context.Context, t testing.TB, ends [2]*distill.Link) (quantum.KeyBlock, quantum.Record) {
	t.Helper()
	var blocks [2]quantum.KeyBlock
	var records [2]quantum.Record
	for i, l := range ends {
		var err error
		if blocks[i], err = l.Next(ctx, func(seq uint64) bool { return seq == 0 }); err != nil {
			t.Fatalf("end %d: %v; status %+v", i, err, l.Status())
		}
		for _, r := range l.Records(1000) { // others may have gone before and have followed
			if r.Round == blocks[i].Round {
				records[i] = r
			}
		}
	}
	a, b := blocks[0], blocks[1]
	if a.Seq != b.Seq || a.ID != b.ID || a.Bound != b.Bound || !a.Key.Equal(b.Key) || a.Class&b.Class&qsc.Simulated == 0 {
		t.Fatalf("the ends disagree on block %d", a.Seq)
	}
	x, y := records[0], records[1]
	if x.Round == 0 || x.Round != y.Round || x.Length <= 0 || x.Length != y.Length || x.Leak != y.Leak {
		t.Fatalf("the ends disagree on the round of block %d: %+v, %+v", a.Seq, x, y)
	}
	return a, x
}
