package vault

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
)

type seeded struct{ r *rand.ChaCha8 }

func (s seeded) Fill(p []byte) error { _, err := s.r.Read(p); return err }
func (s seeded) Class() qsc.Class    { return qsc.Simulated }

// bench is a vault over five sites in memory.
type workbench struct {
	*Vault
	t     *testing.T
	cat   *cloudtest.MemCatalog
	sites []*fakeSite
	left  map[qsc.SiteID]*Budget
}

const testChunk = 4 << 10

func newBench(t *testing.T, k, n, w, sites int) *workbench {
	b := &workbench{t: t, cat: cloudtest.NewMemCatalog(), left: map[qsc.SiteID]*Budget{}}
	pol := Policy{ID: "default", K: k, N: n, W: w, Chunk: testChunk, Source: seeded{rand.NewChaCha8([32]byte{7})}}
	var chans []Channel
	for i := range sites {
		s := newFakeSite(qsc.SiteID("site-" + string(rune('a'+i))))
		left := &Budget{Send: 1 << 30, Recv: 1 << 30}
		b.left[s.id] = left
		b.sites = append(b.sites, s)
		pol.Sites = append(pol.Sites, s.id)
		chans = append(chans, Channel{Site: s, Budget: func() Budget { return *left }})
	}
	b.Vault = New(Config{Owner: "home", Catalog: b.cat, Sites: chans, Policies: []Policy{pol}, Logger: slog.New(slog.DiscardHandler)})
	return b
}

func (b *workbench) put(name string, data []byte) cloud.Report {
	b.t.Helper()
	rep, err := b.Put(b.t.Context(), name, bytes.NewReader(data), cloud.PutOptions{Size: int64(len(data))})
	if err != nil {
		b.t.Fatal("put:", err)
	}
	return rep
}

func (b *workbench) get(name string) ([]byte, cloud.Report, error) {
	var out bytes.Buffer
	rep, err := b.Get(b.t.Context(), name, &out, cloud.GetOptions{Length: -1})
	return out.Bytes(), rep, err
}

func (b *workbench) wantBack(name string, data []byte) cloud.Report {
	b.t.Helper()
	got, rep, err := b.get(name)
	if err != nil {
		b.t.Fatal("get:", err)
	}
	if !bytes.Equal(got, data) {
		b.t.Fatal("the object came back changed")
	}
	return rep
}

func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), 1}).Read(p)
	return p
}

func TestRoundTrips(t *testing.T) {
	for _, kn := range [][3]int{{2, 2, 2}, {2, 3, 3}, {3, 5, 4}} {
		b := newBench(t, kn[0], kn[1], kn[2], 5)
		for _, size := range []int{0, 1, testChunk - 1, testChunk, testChunk + 1, 300*testChunk + 5} {
			name := "o" + string(rune('a'+size%26)) + strings.Repeat("x", size%7)
			data := noise(size)
			rep := b.put(name, data)
			if rep.Record.State != cloud.Stored || rep.Record.Alive() != kn[1] || len(rep.Faults) > 0 {
				t.Errorf("%v: %+v", kn, rep)
			}
			b.wantBack(name, data)
			if err := b.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range b.sites {
			if len(s.shares) > 0 {
				t.Errorf("%s still holds shares of removed objects", s.id)
			}
		}
	}
}

func TestRanges(t *testing.T) {
	b := newBench(t, 2, 3, 3, 3)
	data := noise(3*testChunk + 100)
	b.put("o", data)
	for _, r := range [][2]int64{{0, 0}, {0, 1}, {testChunk - 1, 2}, {testChunk, testChunk}, {5, -1}, {int64(len(data)), -1}, {3*testChunk + 50, 1000}} {
		var out bytes.Buffer
		if _, err := b.Get(t.Context(), "o", &out, cloud.GetOptions{Offset: r[0], Length: r[1]}); err != nil {
			t.Fatal(r, err)
		}
		end := int64(len(data))
		if r[1] >= 0 {
			end = min(end, r[0]+r[1])
		}
		if !bytes.Equal(out.Bytes(), data[r[0]:end]) {
			t.Error("range", r, "differs")
		}
	}
	_, err := b.Get(t.Context(), "o", io.Discard, cloud.GetOptions{Offset: int64(len(data)) + 1, Length: -1})
	wantKind(t, err, qsc.Invalid)
}

func wantKind(t *testing.T, err error, k qsc.Kind) {
	t.Helper()
	if !qsc.IsKind(err, k) {
		t.Errorf("got %v, want kind %q", err, k)
	}
}

func TestNames(t *testing.T) {
	b := newBench(t, 2, 3, 3, 3)
	for _, name := range []string{"", "..", "a/../b", "a//b", "/a", "a/", "a\x00b", "a\nb", strings.Repeat("n", 4096), "\xff"} {
		_, err := b.Put(t.Context(), name, strings.NewReader("x"), cloud.PutOptions{Size: 1})
		wantKind(t, err, qsc.Invalid)
	}
	b.put("a/b ä 😀.cram", []byte("x"))
	_, err := b.Put(t.Context(), "a/b ä 😀.cram", strings.NewReader("y"), cloud.PutOptions{Size: 1})
	wantKind(t, err, qsc.Exists)
	_, err = b.Put(t.Context(), "a/b ä 😀.cram", strings.NewReader("y"), cloud.PutOptions{Size: 1, Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	b.wantBack("a/b ä 😀.cram", []byte("y"))
	b.patrol(t.Context())
	for _, s := range b.sites {
		if len(s.shares) != 1 {
			t.Errorf("%s holds %d shares, want that of the new version only", s.id, len(s.shares))
		}
	}
	_, _, err = b.get("nothing")
	wantKind(t, err, qsc.NotFound)
	wantKind(t, b.Delete(t.Context(), "nothing"), qsc.NotFound)
}

// A site that dies midway costs the reader nothing.
func TestSiteDiesMidway(t *testing.T) {
	b := newBench(t, 2, 3, 3, 3)
	data := noise(100 * testChunk)
	b.put("o", data)
	b.left["site-a"].Recv = 1 << 40 // the cheapest: it is asked first
	b.sites[0].set(func(s *fakeSite) { s.dieAt = 37 })
	rep := b.wantBack("o", data)
	if len(rep.Faults) != 1 || rep.Faults[0].Site != "site-a" {
		t.Errorf("faults %+v", rep.Faults)
	}
	b.sites[1].set(func(s *fakeSite) { s.down = true })
	_, _, err := b.get("o")
	wantKind(t, err, qsc.Insufficient)
	if !strings.Contains(err.Error(), "site-a") || !strings.Contains(err.Error(), "site-b") {
		t.Error("the error does not name the sites:", err)
	}
}

// A site that lies is named, routed around, and its share made anew.
func TestLyingSite(t *testing.T) {
	b := newBench(t, 2, 3, 3, 3)
	data := noise(20 * testChunk)
	b.put("o", data)
	b.left["site-b"].Recv = 1 << 40
	for _, twist := range []func(int, []byte){
		func(c int, p []byte) {
			if c == 11 {
				p[len(p)/2] ^= 1
			}
		},
		func(c int, p []byte) { p[len(p)-1] ^= 0x80 },
		func(c int, p []byte) { p[9] ^= 3 }, // the share point
		func(c int, p []byte) { clear(p) },
	} {
		b.sites[1].set(func(s *fakeSite) { s.twist = twist })
		rep := b.wantBack("o", data)
		if len(rep.Faults) != 1 || rep.Faults[0].Site != "site-b" {
			t.Fatalf("faults %+v", rep.Faults)
		}
		rec, err := b.Stat(t.Context(), "o")
		if err != nil || rec.Placements[pointOf(rec, "site-b")].State != cloud.Damaged || !rec.Degraded() {
			t.Fatal("the damaged share is not noted")
		}
		b.sites[1].set(func(s *fakeSite) { s.twist = nil })
		b.patrol(t.Context())
		if rec, _ = b.Stat(t.Context(), "o"); rec.Degraded() {
			t.Fatal("not repaired")
		}
	}
	if len(b.Alarms()) != 1 {
		t.Error("no alarm stands")
	}
}

func pointOf(r cloud.Record, site qsc.SiteID) int {
	for i, p := range r.Placements {
		if p.Site == site {
			return i
		}
	}
	return -1
}

// With a write quorum a put is acknowledged while a site is away, says so, and
// is completed, bit for bit, when the site is back.
func TestQuorumAndRepair(t *testing.T) {
	b := newBench(t, 2, 3, 2, 3)
	b.sites[2].set(func(s *fakeSite) { s.down = true })
	data := noise(30*testChunk + 17)
	rep := b.put("o", data)
	if !rep.Record.Degraded() || rep.Record.Survives() != 0 || len(rep.Faults) != 1 {
		t.Errorf("%+v", rep)
	}
	b.patrol(t.Context())
	b.sites[2].set(func(s *fakeSite) { s.down = false })
	b.patrol(t.Context())
	rec, _ := b.Stat(t.Context(), "o")
	if rec.Degraded() || rec.Survives() != 1 {
		t.Fatal("not repaired")
	}
	b.sites[0].set(func(s *fakeSite) { s.down = true })
	b.wantBack("o", data)
}

func TestTooFewSites(t *testing.T) {
	b := newBench(t, 2, 3, 3, 3)
	b.sites[2].set(func(s *fakeSite) { s.down = true })
	_, err := b.Put(t.Context(), "o", strings.NewReader("x"), cloud.PutOptions{Size: 1})
	wantKind(t, err, qsc.Insufficient)
	b.sites[2].set(func(s *fakeSite) { s.down, s.full = false, 3 })
	_, err = b.Put(t.Context(), "o", bytes.NewReader(noise(50*testChunk)), cloud.PutOptions{Size: -1})
	wantKind(t, err, qsc.NoSpace)
	b.sites[2].set(func(s *fakeSite) { s.full, s.lostAck = 0, true })
	_, err = b.Put(t.Context(), "o", strings.NewReader("x"), cloud.PutOptions{Size: 1})
	wantKind(t, err, qsc.Insufficient)
	b.patrol(t.Context())
	for _, s := range b.sites {
		if len(s.shares) > 0 {
			t.Errorf("%s holds a share of a put that failed", s.id)
		}
	}
	if l, _ := b.List(t.Context(), cloud.Query{}); len(l) > 0 {
		t.Error("a put that failed is listed")
	}
}

func TestUnreadableFile(t *testing.T) {
	b := newBench(t, 2, 3, 3, 3)
	broken := io.MultiReader(bytes.NewReader(noise(3*testChunk)), iotest.ErrReader(errors.New("bad sector")))
	_, err := b.Put(t.Context(), "o", broken, cloud.PutOptions{Size: -1})
	wantKind(t, err, qsc.Invalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Put(ctx, "o", bytes.NewReader(noise(3*testChunk)), cloud.PutOptions{Size: -1})
	if err == nil {
		t.Error("a put that was given up is acknowledged")
	}
	if l, _ := b.List(t.Context(), cloud.Query{}); len(l) > 0 {
		t.Error("a put that failed is listed")
	}
}

func TestNoKeyIsSaidAtOnce(t *testing.T) {
	b := newBench(t, 2, 3, 3, 3)
	*b.left["site-b"] = Budget{Send: 1000, Recv: 1000, Finite: true}
	_, err := b.Put(t.Context(), "o", bytes.NewReader(noise(testChunk)), cloud.PutOptions{Size: testChunk})
	wantKind(t, err, qsc.Exhausted)
	b.left["site-b"].Send = 1 << 30
	data := noise(10 * testChunk)
	b.put("o", data)
	b.wantBack("o", data) // two ways are rich enough
	*b.left["site-c"] = Budget{Finite: true}
	_, _, err = b.get("o")
	wantKind(t, err, qsc.Exhausted)
}

// The share control takes the sites with the most key.
func TestPlacementFollowsKey(t *testing.T) {
	b := newBench(t, 2, 3, 3, 5)
	for i, s := range b.sites {
		b.left[s.id].Send = int64(1000 * (i + 1) * testChunk)
	}
	rep := b.put("o", noise(100))
	for _, p := range rep.Record.Placements {
		if p.Site == "site-a" || p.Site == "site-b" {
			t.Error("a share went to", p.Site)
		}
	}
}

// After the catalogue is lost any k sites bring it back, with the tag masks
// taken from the pieces: a lying site is then still named where one more site
// than k answers.
func TestRebuild(t *testing.T) {
	b := newBench(t, 2, 3, 3, 3)
	files := map[string][]byte{"a": noise(10 * testChunk), "b/c": nil, "d": noise(5)}
	for name, data := range files {
		b.put(name, data)
	}
	before, _ := b.Stat(t.Context(), "a")
	b.cat = cloudtest.NewMemCatalog()
	b.cfg.Catalog = b.cat
	b.sites[1].set(func(s *fakeSite) { s.down = true })
	n, err := b.Rebuild(t.Context())
	if err != nil || n != len(files) {
		t.Fatal(n, err)
	}
	after, err := b.Stat(t.Context(), "a")
	if err != nil || after.Size != before.Size || !after.Created.Equal(before.Created) || after.Class != before.Class {
		t.Errorf("recalled %+v, was %+v", after, before)
	}
	for name, data := range files {
		b.wantBack(name, data)
	}
	b.sites[1].set(func(s *fakeSite) { s.down = false })
	b.patrol(t.Context())
	if rec, _ := b.Stat(t.Context(), "a"); rec.Degraded() {
		t.Fatal("the third share was not made anew")
	}
	b.left["site-c"].Recv = 1 << 40
	b.sites[2].set(func(s *fakeSite) { s.twist = func(c int, p []byte) { p[100] ^= 1 } })
	rep := b.wantBack("a", files["a"])
	if len(rep.Faults) != 1 || rep.Faults[0].Site != "site-c" {
		t.Errorf("faults %+v", rep.Faults)
	}
	if n, err := b.Rebuild(t.Context()); n != 0 || err != nil {
		t.Error("a rebuild over a whole catalogue changed it", n, err)
	}
}

// A put that a crash cut off is swept at the next start.
func TestRecover(t *testing.T) {
	b := newBench(t, 2, 3, 3, 3)
	b.put("o", noise(100))
	rec, _ := b.Stat(t.Context(), "o")
	lost := rec
	lost.Ref.Object[0]++
	lost.Name, lost.State, lost.Size = "lost", cloud.Pending, -1
	if err := b.cat.Insert(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	b.sites[0].shares[lost.Ref] = &fakeShare{}
	if err := b.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.patrol(t.Context())
	if len(b.sites[0].shares) != 1 {
		t.Error("the share of the lost put is still there")
	}
	b.wantBack("o", noise(100))
}

// A site that hangs is given up: within the quorum the put goes on without it,
// else it ends with a clear error.
func TestHangingSite(t *testing.T) {
	synctest.Test(t, hangingSite) // where only a site that hangs stands still
}

func hangingSite(t *testing.T) {
	for _, w := range []int{2, 3} {
		b := newBench(t, 2, 3, w, 3)
		b.sites[1].set(func(s *fakeSite) { s.hang = true })
		data := noise(40 * testChunk)
		rep, err := b.Put(t.Context(), "o", bytes.NewReader(data), cloud.PutOptions{Size: -1})
		if w == 3 {
			wantKind(t, err, qsc.Insufficient)
			continue
		}
		if err != nil || len(rep.Faults) != 1 || rep.Faults[0].Site != "site-b" || !rep.Record.Degraded() {
			t.Fatalf("%+v, %v", rep.Faults, err)
		}
		b.wantBack("o", data)
	}
}
