package pool

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// numbered is a source in which every 8 bytes are different, so that a byte that
// is handed out twice shows.
func numbered(n int) *bytes.Reader {
	b := make([]byte, n)
	for i := 0; i+8 <= n; i += 8 {
		v := uint64(i/8+1) * 0x9e3779b97f4a7c15
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return bytes.NewReader(b)
}

func bring(t *testing.T, d durable.FS, n int) {
	t.Helper()
	if err := Bring(t.Context(), d, numbered(n), int64(n), qsc.ITS, nil); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, d durable.FS) *Pool {
	t.Helper()
	p, err := Open(d)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// draw takes n words of 8 bytes and fails if one came before.
func draw(t *testing.T, p *Pool, n int, seen map[[8]byte]bool) error {
	t.Helper()
	b := make([]byte, 8*n)
	if err := p.Fill(b); err != nil {
		return err
	}
	for i := 0; i < len(b); i += 8 {
		w := [8]byte(b[i:])
		if w == ([8]byte{}) || seen[w] {
			t.Fatal("a byte of the pool was handed out twice")
		}
		seen[w] = true
	}
	return nil
}

func TestEveryByteOnce(t *testing.T) {
	d := durable.Mem(1 << 26)
	bring(t, d, 3<<20)
	seen := map[[8]byte]bool{}
	for i := range 40 {
		p := open(t, d)
		if p.Class() != qsc.ITS {
			t.Fatal("class", p.Class())
		}
		for j := range 5 {
			if err := draw(t, p, 100*i+j, seen); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	p := open(t, d)
	if want := int64(3<<20 - 8*len(seen)); p.Left() != want {
		t.Errorf("%d bytes left, want %d: an orderly end burns nothing", p.Left(), want)
	}
	if err := p.Fill(make([]byte, p.Left()+1)); !qsc.IsKind(err, qsc.Exhausted) {
		t.Error("got", err)
	}
	if err := p.Fill(make([]byte, p.Left())); err != nil {
		t.Error("the rest after a refusal:", err)
	}
	if list, _ := d.ReadDir("."); len(list) != 0 {
		t.Error("a spent file lies there still")
	}
}

func TestMoreIsBrought(t *testing.T) {
	d := durable.Mem(1 << 26)
	p := open(t, d)
	if err := p.Fill(make([]byte, 1)); !qsc.IsKind(err, qsc.Exhausted) {
		t.Fatal("an empty pool gives", err)
	}
	bring(t, d, 800)
	bring(t, d, 800)
	if err := p.Fill(make([]byte, 1200)); err != nil {
		t.Fatal(err)
	}
	if p.Left() != 400 {
		t.Error(p.Left())
	}
	err := Bring(t.Context(), d, numbered(80), 800, qsc.ITS, nil)
	if !qsc.IsKind(err, qsc.Invalid) {
		t.Error("a short source gives", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Bring(ctx, d, numbered(800), 800, qsc.ITS, nil); !qsc.IsKind(err, qsc.Timeout) {
		t.Error("got", err)
	}
	if list, _ := d.ReadDir("."); len(list) != 1 {
		t.Error("a failed bringing left something behind")
	}
}

// Whatever step fails, and however, no byte is handed out twice, and what was
// handed out is overwritten once the pool was opened again.
func TestFaults(t *testing.T) {
	for _, mode := range durable.Modes() {
		for step := int64(1); step < 40; step++ {
			r := rand.New(rand.NewPCG(uint64(step), uint64(mode)))
			disk := durable.Mem(1 << 24)
			bring(t, disk, 64<<10)
			faulty := durable.Faulty(disk, durable.Plan{Step: step, Mode: mode, Crash: true})
			seen := map[[8]byte]bool{}
			if p, err := Open(faulty); err == nil {
				for i := 0; i < 20 && err == nil; i++ {
					err = draw(t, p, 400, seen)
				}
				_ = p.Close() // the plan makes it fail, too
			}
			after := disk.Crashed(r)
			p := open(t, after)
			for draw(t, p, 50, seen) == nil {
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			checkErased(t, after, seen)
		}
	}
}

func checkErased(t *testing.T, d durable.FS, seen map[[8]byte]bool) {
	t.Helper()
	list, err := d.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		f, err := d.Open(e.Name(), os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 64<<10)
		if _, err := f.ReadAt(b, dataStart); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(b); i += 8 {
			if seen[[8]byte(b[i:])] {
				t.Fatal("a byte that was handed out lies in the file still")
			}
		}
	}
}

func FuzzNewest(f *testing.F) {
	m := mark{size: 100, spent: 10, number: 3}
	f.Add(append(m.marshal(), make([]byte, markSize)...))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := newest(b); err == nil && (m.erased > m.spent || m.spent > m.size || m.size < 0) {
			t.Errorf("accepted %+v", m)
		}
	})
}

func BenchmarkFill(b *testing.B) {
	d, err := durable.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	src := rand.NewChaCha8([32]byte{})
	if err := Bring(b.Context(), d, src, 256<<20, qsc.Simulated, nil); err != nil {
		b.Fatal(err)
	}
	p, err := Open(d)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if err := p.Fill(buf); err != nil {
			b.Skip("the pool is used up: give a smaller -benchtime")
		}
	}
}
