package preshared

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/quantumtest"
)

const block = 1024

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func seqs(first, n uint64) (list []uint64) {
	for i := range n {
		list = append(list, first+i)
	}
	return list
}

func random(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func spec(a, b durable.FS, list []uint64) Spec {
	return Spec{Link: "x", Epoch: 2, Block: block, Ends: [2]durable.FS{a, b}, Seqs: list, Random: random(1), Class: qsc.OSRandom}
}

func open(t *testing.T, fs durable.FS) *Link {
	t.Helper()
	l, err := Open(Config{FS: fs, Link: "x", Epoch: 2, Block: block})
	must(t, err)
	return l
}

func all(uint64) bool { return true }

func TestConform(t *testing.T) {
	quantumtest.Conform(t, func(t *testing.T) quantumtest.Pair {
		ends := [2]durable.FS{durable.Mem(1 << 20), durable.Mem(1 << 20)}
		must(t, Provision(t.Context(), spec(ends[0], ends[1], seqs(0, quantumtest.Blocks))))
		return quantumtest.Pair{Link: "x", Epoch: 2, Block: block, Keeps: true,
			Open: func(t *testing.T, end int) quantum.Link { return open(t, ends[end]) }}
	})
}

func TestFilesGoWhenUsedUp(t *testing.T) {
	a, b := durable.Mem(1<<20), durable.Mem(1<<20)
	l := open(t, a)
	if _, err := l.Next(t.Context(), all); !qsc.IsKind(err, qsc.Exhausted) || !strings.Contains(err.Error(), "qsc link provision x") {
		t.Fatalf("empty: %v", err)
	}
	must(t, Provision(t.Context(), spec(a, b, []uint64{0, 3, 9})))
	for _, want := range []uint64{0, 3, 9} {
		k, err := l.Next(t.Context(), all)
		if err != nil || k.Seq != want {
			t.Fatalf("block %d, %v", k.Seq, err)
		}
		must(t, l.Accept(k))
	}
	list, err := a.ReadDir(".")
	must(t, err)
	if len(list) != 1 || list[0].Name() != counterFile {
		t.Fatalf("left behind: %v", list)
	}
	if s := l.Status(); s.Waiting != 0 || s.Class != qsc.OSRandom || s.Alarm != "" {
		t.Fatalf("%+v", s)
	}
	if next, err := NextSeq([2]durable.FS{a, b}); err != nil || next != 10 {
		t.Fatalf("next %d, %v", next, err)
	}
	if err := Provision(t.Context(), spec(a, b, []uint64{9})); !qsc.IsKind(err, qsc.Invalid) {
		t.Fatalf("a number given out twice: %v", err)
	}
}

func TestRandomEndsEarly(t *testing.T) {
	a, b := durable.Mem(1<<20), durable.Mem(1<<20)
	s := spec(a, b, seqs(0, 4))
	s.Random = bytes.NewReader(make([]byte, 2*block+7))
	err := Provision(t.Context(), s)
	if !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), fmt.Sprint(2*block+7)) {
		t.Fatalf("short source: %v", err)
	}
	clean(t, a)
	clean(t, b)
}

// clean fails if any stock, whole or not, is in the directory.
func clean(t *testing.T, d durable.FS) {
	t.Helper()
	list, err := d.ReadDir(".")
	must(t, err)
	for _, f := range list {
		if strings.Contains(f.Name(), stockSuffix) {
			t.Fatalf("%s was left", f.Name())
		}
	}
}

func TestCancelled(t *testing.T) {
	a, b := durable.Mem(1<<20), durable.Mem(1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	s := spec(a, b, seqs(0, 8))
	s.Progress = func(done, total int64) {
		if done == 3*block {
			cancel()
		}
	}
	if err := Provision(ctx, s); !qsc.IsKind(err, qsc.Timeout) {
		t.Fatalf("cancelled: %v", err)
	}
	clean(t, a)
	clean(t, b)
}

func TestDamage(t *testing.T) {
	for name, hurt := range map[string]func(p []byte) []byte{
		"header": func(p []byte) []byte { p[9] ^= 1; return p },
		"record": func(p []byte) []byte { p[headerSize+3] ^= 1; return p },
		"short":  func(p []byte) []byte { return p[:len(p)-1] },
		"stub":   func(p []byte) []byte { return p[:20] },
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, damaged(t, hurt))
			if _, err := l.Next(t.Context(), all); !qsc.IsKind(err, qsc.Exhausted) {
				t.Fatalf("damaged stock was served: %v", err)
			}
			if l.Status().Alarm == "" {
				t.Fatal("no alarm")
			}
		})
	}
	l := open(t, damaged(t, func(p []byte) []byte { p[dataStart(4)] ^= 1; return p }))
	if _, err := l.Next(t.Context(), all); !qsc.IsKind(err, qsc.Corrupt) {
		t.Fatalf("damaged block: %v", err)
	}
	if k, err := l.Next(t.Context(), all); err != nil || k.Seq != 1 {
		t.Fatalf("the block behind a damaged one: %d, %v", k.Seq, err)
	}
}

// damaged returns an inbox whose only stock file was changed by hurt.
func damaged(t *testing.T, hurt func([]byte) []byte) durable.FS {
	a := durable.Mem(1 << 20)
	must(t, Provision(t.Context(), spec(a, durable.Mem(1<<20), seqs(0, 4))))
	f, err := a.Open(fileName(2, 0), os.O_RDWR, 0)
	must(t, err)
	n, err := f.Size()
	must(t, err)
	p := make([]byte, n)
	_, err = f.ReadAt(p, 0)
	must(t, err)
	p = hurt(p)
	must(t, f.Truncate(int64(len(p))))
	_, err = f.WriteAt(p, 0)
	must(t, err)
	return a
}

// TestFaultMatrix fails every persisting step of Provision at either end, in
// every mode, with and without a crash, and provisions again afterwards: no
// number ever stands for two blocks, and what is shown at both ends is equal.
func TestFaultMatrix(t *testing.T) {
	probe := durable.Faulty(durable.Mem(1<<20), durable.Plan{})
	must(t, Provision(t.Context(), spec(probe, durable.Mem(1<<20), seqs(0, 3))))
	for end := range 2 {
		for step := int64(1); step <= probe.Steps(); step++ {
			for _, mode := range durable.Modes() {
				for _, crash := range []bool{false, true} {
					matrixCase(t, end, durable.Plan{Step: step, Mode: mode, Crash: crash})
				}
			}
		}
	}
}

func matrixCase(t *testing.T, end int, plan durable.Plan) {
	t.Helper()
	disks := [2]*durable.Disk{durable.Mem(1 << 20), durable.Mem(1 << 20)}
	ends := [2]durable.FS{disks[0], disks[1]}
	ends[end] = durable.Faulty(disks[end], plan)
	_ = Provision(t.Context(), spec(ends[0], ends[1], seqs(0, 3))) // sweeping up may fail unnoticed
	disks[end] = disks[end].Crashed(rand.New(rand.NewPCG(uint64(plan.Step), uint64(plan.Mode))))
	ends = [2]durable.FS{disks[0], disks[1]}
	next, err := NextSeq(ends)
	must(t, err)
	s := spec(ends[0], ends[1], seqs(next, 3))
	s.Random = random(2)
	must(t, Provision(t.Context(), s))
	a, b := shown(t, ends[0]), shown(t, ends[1])
	for seq, key := range a {
		if other, ok := b[seq]; ok && !bytes.Equal(key, other) {
			t.Fatalf("end %d, %+v: block %d differs between the ends", end, plan, seq)
		}
	}
	for i := range uint64(3) {
		if a[next+i] == nil || b[next+i] == nil {
			t.Fatalf("end %d, %+v: block %d is missing after a good run", end, plan, next+i)
		}
	}
}

// shown takes everything out of an inbox.
func shown(t *testing.T, d durable.FS) map[uint64][]byte {
	t.Helper()
	l := open(t, d)
	defer l.Close()
	got := map[uint64][]byte{}
	for {
		k, err := l.Next(t.Context(), all)
		if qsc.IsKind(err, qsc.Exhausted) {
			if a := l.Status().Alarm; a != "" {
				t.Fatalf("a killed run left an alarm: %s", a)
			}
			return got
		}
		must(t, err)
		got[k.Seq] = bytes.Clone(k.Key.Expose())
		must(t, l.Accept(k))
	}
}

// TestAcceptCrash crashes at every step of taking a stock up: what comes again
// is unaltered or reported as lost.
func TestAcceptCrash(t *testing.T) {
	for step := int64(1); step <= 9; step++ {
		for _, mode := range durable.Modes() {
			a, twin := durable.Mem(1<<20), durable.Mem(1<<20)
			must(t, Provision(t.Context(), spec(a, twin, seqs(0, 3))))
			truth := shown(t, twin)
			f := durable.Faulty(a, durable.Plan{Step: step, Mode: mode, Crash: true})
			l := open(t, f)
			for k, err := l.Next(t.Context(), all); err == nil; k, err = l.Next(t.Context(), all) {
				if l.Accept(k) != nil {
					break
				}
			}
			_ = l.Close() // it may be dead
			l = open(t, a.Crashed(rand.New(rand.NewPCG(uint64(step), uint64(mode)))))
			for {
				k, err := l.Next(t.Context(), all)
				if qsc.IsKind(err, qsc.Exhausted) {
					break
				}
				if qsc.IsKind(err, qsc.Corrupt) {
					continue
				}
				must(t, err)
				if !bytes.Equal(k.Key.Expose(), truth[k.Seq]) {
					t.Fatalf("step %d, %v: block %d came back altered", step, mode, k.Seq)
				}
				must(t, l.Accept(k))
			}
		}
	}
}

func FuzzStockFile(f *testing.F) {
	h := header{class: 1, epoch: 2, block: block, count: 2, link: "x"}
	front := h.marshal()
	for i := range uint64(2) {
		b := make([]byte, recordSize)
		(&record{seq: i}).marshal(b)
		front = append(front, b...)
	}
	f.Add(front)
	f.Add(front[:headerSize])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			return
		}
		if !bytes.Equal(h.marshal()[:28], b[:28]) && b[6] == 0 && b[7] == 0 {
			t.Fatal("a header does not survive parsing")
		}
		recs, err := parseRecords(b[headerSize:], h.count)
		if err == nil && int64(len(recs)) != h.count {
			t.Fatal("records were lost")
		}
	})
}
