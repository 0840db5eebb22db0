package record

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/device/twins/twinstest"
	"github.com/quantum-secure-cloud/qsc/quantum/quantumtest"
)

const (
	block   = 256 // eight records
	inBlock = block / KeySize
)

// rig is the vendor's two files and the two ends' places.
type rig struct {
	path [2]string
	fs   [2]durable.FS
	door *twinstest.Door
	tls  *tls.Config
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{door: twinstest.NewDoor(t)}
	for end := range r.path {
		r.path[end] = filepath.Join(t.TempDir(), "keys")
		r.fs[end] = durable.Mem(1 << 24)
	}
	return r
}

func (r *rig) config(t testing.TB, end int) Config {
	t.Helper()
	cfg := Config{Link: "ab", Epoch: 3, Block: block, Path: r.path[end], FS: r.fs[end], Master: end == 0, TLS: r.tls, Dial: r.door.Address}
	if end == 0 {
		cfg.Listen = r.door.Listen()
	}
	return cfg
}

func (r *rig) open(t testing.TB, end int) *Link {
	t.Helper()
	l, err := Open(r.config(t, end))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// records makes n records as the vendor would.
func records(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = make([]byte, Size)
		_, _ = rand.Read(out[i])
	}
	return out
}

// write appends to a file as the vendor does.
func write(t testing.TB, path string, recs ...[]byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, rec := range recs {
		if _, err := f.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *rig) both(t testing.TB, recs ...[]byte) {
	t.Helper()
	write(t, r.path[0], recs...)
	write(t, r.path[1], recs...)
}

func next(t testing.TB, l *Link) quantum.KeyBlock {
	t.Helper()
	return twinstest.Next(t, l, twinstest.All)
}

func same(t testing.TB, a, b quantum.KeyBlock) {
	t.Helper()
	twinstest.Same(t, a, b, block)
}

// purse remembers which keys were handed out.
type purse map[[KeySize]byte]bool

func (p purse) take(t testing.TB, b quantum.KeyBlock) {
	t.Helper()
	for raw := b.Key.Expose(); len(raw) > 0; raw = raw[KeySize:] {
		k := [KeySize]byte(raw)
		if p[k] {
			t.Fatalf("a record is used a second time, in block %d", b.Seq)
		}
		p[k] = true
	}
}

func TestConform(t *testing.T) {
	ca := testkit.NewCA(t)
	conf := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(t, "end")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool, RootCAs: ca.Pool}
	quantumtest.Conform(t, func(t *testing.T) quantumtest.Pair {
		r := newRig(t)
		r.tls = conf
		r.both(t, records(quantumtest.Blocks*inBlock)...)
		r.open(t, 1) // the master draws what the other end has: it must be there
		return quantumtest.Pair{Link: "ab", Epoch: 3, Block: block, Open: func(t *testing.T, end int) quantum.Link {
			if end == 1 {
				return r.second(t)
			}
			return r.open(t, end)
		}}
	})
}

// second opens another slave: the first has told what there is and takes nothing.
func (r *rig) second(t testing.TB) *Link {
	r.fs[1] = durable.Mem(1 << 20)
	return r.open(t, 1)
}

// Files in different order, with records missing here and there.
func TestOrderAndGaps(t *testing.T) {
	r := newRig(t)
	recs := records(40 * inBlock)
	for end := range r.path {
		mine := append([][]byte(nil), recs...)
		mrand.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
		write(t, r.path[end], mine[:30*inBlock]...)
	}
	a, b := r.open(t, 0), r.open(t, 1)
	used := purse{}
	for range 15 { // the ends have at least half of the records in common
		x := next(t, a)
		same(t, x, next(t, b))
		used.take(t, x)
		if x.Class != qsc.Computational || x.Bound != Bound {
			t.Fatalf("class %v, bound %q", x.Class, x.Bound)
		}
	}
	for _, l := range []*Link{a, b} {
		if st := l.Status(); st.Alarm != "" || st.Rate <= 0 || st.Kind != "record" {
			t.Errorf("%+v", st)
		}
	}
}

// Records come while both ends wait; one of them in parts, behind reserved space.
func TestGrowth(t *testing.T) {
	r := newRig(t)
	recs := records(2 * inBlock)
	a, b := r.open(t, 0), r.open(t, 1)
	r.both(t, recs[:inBlock-1]...)
	r.both(t, recs[inBlock-1][:Size-1])
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := a.Next(ctx, twinstest.All); !qsc.IsKind(err, qsc.Timeout) {
		t.Fatal("a record that is not whole:", err)
	}
	r.both(t, recs[inBlock-1][Size-1:])
	same(t, next(t, a), next(t, b))
	for _, path := range r.path {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(2 * block / KeySize * Size); err != nil { // space ahead
			t.Fatal(err)
		}
		for i, rec := range recs[inBlock:] {
			if _, err := f.WriteAt(rec, int64((inBlock+i)*Size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	same(t, next(t, a), next(t, b))
}

// A new file takes the old one's place: what is unused of the old one is used, what
// the new one repeats is not used again.
func TestReplaced(t *testing.T) {
	r := newRig(t)
	recs := records(4 * inBlock)
	r.both(t, recs[:2*inBlock]...)
	a, b := r.open(t, 0), r.open(t, 1)
	used := purse{}
	x := next(t, a)
	same(t, x, next(t, b))
	used.take(t, x)
	for _, path := range r.path {
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		write(t, path, recs[:inBlock]...) // used ones again
		write(t, path, recs[2*inBlock:]...)
	}
	for range 3 {
		x := next(t, a)
		same(t, x, next(t, b))
		used.take(t, x)
	}
	if len(used) != len(recs) || a.Status().Alarm != "" {
		t.Errorf("%d of %d records used, alarm %q", len(used), len(recs), a.Status().Alarm)
	}
}

// A file that is cut short raises the alarm; a record does not come twice for it.
func TestCutShort(t *testing.T) {
	r := newRig(t)
	recs := records(3 * inBlock)
	r.both(t, recs[:inBlock]...)
	a, b := r.open(t, 0), r.open(t, 1)
	used := purse{}
	x := next(t, a)
	same(t, x, next(t, b))
	used.take(t, x)
	for end, path := range r.path {
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		l := []*Link{a, b}[end]
		twinstest.Alarm(t, l, func(text string) bool { return strings.Contains(text, "cut short") })
	}
	r.both(t, recs...)
	for range 2 {
		x := next(t, a)
		same(t, x, next(t, b))
		used.take(t, x)
	}
}

// A slave that has lost records loses their block, and only it.
func TestLostAtTheSlave(t *testing.T) {
	r := newRig(t)
	recs := records(2 * inBlock)
	r.both(t, recs[:inBlock]...)
	a, b := r.open(t, 0), r.open(t, 1)
	next(t, a)
	if err := os.WriteFile(r.path[1], make([]byte, inBlock*Size), 0o600); err != nil { // overwritten in place
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := b.Next(ctx, twinstest.All); !qsc.IsKind(err, qsc.NotFound) || !strings.Contains(err.Error(), "block 0 is lost") {
		t.Fatal(err)
	}
	if err := os.Remove(r.path[1]); err != nil {
		t.Fatal(err)
	}
	r.both(t, recs[inBlock:]...)
	same(t, next(t, a), next(t, b))
}

func TestOpenRefuses(t *testing.T) {
	r := newRig(t)
	good := r.config(t, 1)
	for name, change := range map[string]func(*Config){
		"no path":      func(c *Config) { c.Path = "" },
		"no directory": func(c *Config) { c.FS = nil },
		"small blocks": func(c *Config) { c.Block = 16 },
		"odd blocks":   func(c *Config) { c.Block = 100 },
		"no address":   func(c *Config) { c.Dial = "" },
	} {
		cfg := good
		change(&cfg)
		if _, err := Open(cfg); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.Path = filepath.Join(t.TempDir(), "none", "keys")
	if _, err := Open(good); !qsc.IsKind(err, qsc.NotFound) {
		t.Error(err)
	}
}
