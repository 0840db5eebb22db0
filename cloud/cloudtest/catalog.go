package cloudtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

const home = qsc.NodeID("home")

// Catalog runs the kit against the rooms that open yields; each call of open
// gives an empty one and sees to closing it with the test.
func Catalog(t *testing.T, open func(t *testing.T) cloud.Catalog) {
	for name, run := range map[string]func(*testing.T, cloud.Catalog){
		"Insert": catInsert, "Refuse": catRefuse, "Update": catUpdate, "UpdateFails": catUpdateFails,
		"Versions": catVersions, "Lookup": catLookup, "List": catList, "ListPages": catListPages,
		"Prefix": catPrefix, "Degraded": catDegraded, "Forget": catForget, "Masks": catMasks, "MasksOverlap": catMasksOverlap,
		"MasksRefuse": catMasksRefuse, "Parallel": catParallel, "OwnMemory": catOwnMemory, "Cancelled": catCancelled,
	} {
		t.Run(name, func(t *testing.T) { run(t, open(t)) })
	}
}

func catInsert(t *testing.T, c cloud.Catalog) {
	r := NewRecord(NewRef(home, 1, 7), "a name; DROP TABLE objects --")
	r.Size = -1
	must(t, c.Insert(t.Context(), r))
	kind(t, c.Insert(t.Context(), r), qsc.Exists)
	got, err := c.List(t.Context(), cloud.Query{States: []cloud.State{cloud.Pending}})
	must(t, err)
	if len(got) != 1 {
		t.Fatalf("%d pending records, want 1", len(got))
	}
	wantRecord(t, got[0], r)
	_, err = c.Lookup(t.Context(), r.Name)
	kind(t, err, qsc.NotFound)
}

func catRefuse(t *testing.T, c cloud.Catalog) {
	for what, spoil := range map[string]func(*cloud.Record){
		"stored":       func(r *cloud.Record) { r.State = cloud.Stored },
		"no owner":     func(r *cloud.Record) { r.Ref.Owner = "" },
		"version":      func(r *cloud.Record) { r.Ref.Version = 1 << 63 },
		"no name":      func(r *cloud.Record) { r.Name = "" },
		"long name":    func(r *cloud.Record) { r.Name = strings.Repeat("n", cloud.MaxName+1) },
		"not UTF-8":    func(r *cloud.Record) { r.Name = "a\xff" },
		"size":         func(r *cloud.Record) { r.Size = -2 },
		"chunk":        func(r *cloud.Record) { r.Chunk = 0 },
		"chunks":       func(r *cloud.Record) { r.Chunk, r.Size = 1, 1<<32 },
		"placements":   func(r *cloud.Record) { r.Placements = r.Placements[:2] },
		"points":       func(r *cloud.Record) { r.Placements[1].Point = 1 },
		"no site":      func(r *cloud.Record) { r.Placements[1].Site = "" },
		"short key":    func(r *cloud.Record) { r.Placements[1].HashKey = qsc.NewSecret([]byte{1}) },
		"w below k":    func(r *cloud.Record) { r.W = 1 },
		"n beyond 255": func(r *cloud.Record) { r.N = 256 },
	} {
		r := NewRecord(NewRef(home, 1, 1), "name")
		spoil(&r)
		if err := c.Insert(t.Context(), r); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: got %v, want %v", what, err, qsc.Invalid)
		}
	}
}

func catUpdate(t *testing.T, c cloud.Catalog) {
	ref := NewRef(home, 1, 1)
	must(t, c.Insert(t.Context(), NewRecord(ref, "name")))
	var want cloud.Record
	must(t, c.Update(t.Context(), ref, func(r *cloud.Record) error {
		wantRecord(t, *r, NewRecord(ref, "name"))
		r.State, r.Size, r.Class, r.W = cloud.Stored, 5, qsc.Simulated, 2
		r.Placements[0].State, r.Placements[2].State = cloud.Durable, cloud.Damaged
		r.Placements[1].Site = "delta"
		want = *r
		return nil
	}))
	got, err := c.Lookup(t.Context(), "name")
	must(t, err)
	wantRecord(t, got, want)
	kind(t, setState(t.Context(), c, NewRef(home, 2, 1), cloud.Stored), qsc.NotFound)
}

func catUpdateFails(t *testing.T, c cloud.Catalog) {
	r := store(t, c, NewRef(home, 1, 1), "name")
	mine := errors.New("mine")
	err := c.Update(t.Context(), r.Ref, func(r *cloud.Record) error {
		r.State, r.Placements[0].State = cloud.Doomed, cloud.Damaged
		return mine
	})
	if !errors.Is(err, mine) {
		t.Fatalf("got %v, want fn's own error", err)
	}
	for what, spoil := range map[string]func(*cloud.Record){
		"ref":   func(r *cloud.Record) { r.Ref.Version++ },
		"name":  func(r *cloud.Record) { r.Name = "other" },
		"state": func(r *cloud.Record) { r.State = 9 },
		"size":  func(r *cloud.Record) { r.Size = -1 },
		"n":     func(r *cloud.Record) { r.N, r.W, r.Placements = 2, 2, r.Placements[:2] },
	} {
		err := c.Update(t.Context(), r.Ref, func(r *cloud.Record) error { spoil(r); return nil })
		if !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: got %v, want %v", what, err, qsc.Invalid)
		}
	}
	got, err := c.Lookup(t.Context(), "name")
	must(t, err)
	wantRecord(t, got, r)
}

// A later version takes the name and dooms the earlier; it never goes back.
func catVersions(t *testing.T, c cloud.Catalog) {
	one, three := NewRef(home, 1, 1), NewRef(home, 1, 3)
	two, other := NewRef(home, 1, 2), NewRef(home, 9, 3)
	store(t, c, one, "name")
	for _, ref := range []cloud.Ref{two, three, other} {
		must(t, c.Insert(t.Context(), NewRecord(ref, "name")))
	}
	must(t, setState(t.Context(), c, three, cloud.Stored))
	kind(t, setState(t.Context(), c, two, cloud.Stored), qsc.Exists)
	kind(t, setState(t.Context(), c, other, cloud.Stored), qsc.Exists)
	must(t, setState(t.Context(), c, three, cloud.Stored)) // it is already: no change
	got, err := c.Lookup(t.Context(), "name")
	must(t, err)
	if got.Ref != three {
		t.Fatalf("the name stands for version %d, want 3", got.Ref.Version)
	}
	doomed, err := c.List(t.Context(), cloud.Query{States: []cloud.State{cloud.Doomed}})
	must(t, err)
	if len(doomed) != 1 || doomed[0].Ref != one {
		t.Fatalf("%d records doomed, want version 1 alone", len(doomed))
	}
	must(t, setState(t.Context(), c, three, cloud.Doomed))
	must(t, setState(t.Context(), c, two, cloud.Stored)) // nobody holds the name now
}

func catLookup(t *testing.T, c cloud.Catalog) {
	names := []string{"a", "A", "a ", "é", "e\u0301", "a/b/../c", "%", "'", "😀"}
	for i, name := range names {
		store(t, c, NewRef(home, i, 1), name)
	}
	for i, name := range names {
		got, err := c.Lookup(t.Context(), name)
		must(t, err)
		if got.Ref != NewRef(home, i, 1) {
			t.Errorf("%q is found as another object", name)
		}
	}
	_, err := c.Lookup(t.Context(), "b")
	kind(t, err, qsc.NotFound)
}

func catList(t *testing.T, c cloud.Catalog) {
	names := []string{"b", "a", "a\x7f", "Z", "ä", "aa", "😀", "z"}
	for i, name := range names {
		store(t, c, NewRef(home, i, 1), name)
	}
	must(t, c.Insert(t.Context(), NewRecord(NewRef(home, 100, 2), "pending")))
	wantNames(t, c, cloud.Query{}, "Z a aa a\x7f b z ä 😀") // byte order
	wantNames(t, c, cloud.Query{After: "a\x7f", Limit: 2}, "b z")
	wantNames(t, c, cloud.Query{After: "aaa", Limit: 1}, "a\x7f")
	all := []cloud.State{cloud.Pending, cloud.Stored, cloud.Pending}
	wantNames(t, c, cloud.Query{States: all, After: "b"}, "pending z ä 😀")
	for _, q := range []cloud.Query{{Limit: -1}, {Limit: cloud.MaxList + 1}, {States: []cloud.State{3}}} {
		_, err := c.List(t.Context(), q)
		kind(t, err, qsc.Invalid)
	}
}

func wantNames(t *testing.T, c cloud.Catalog, q cloud.Query, want string) {
	t.Helper()
	list, err := c.List(t.Context(), q)
	must(t, err)
	var names []string
	for _, r := range list {
		names = append(names, r.Name)
		if len(r.Placements) != r.N {
			t.Fatalf("%q is listed with %d placements, want %d", r.Name, len(r.Placements), r.N)
		}
	}
	if got := strings.Join(names, " "); got != want {
		t.Fatalf("list %+v: got %q, want %q", q, got, want)
	}
}

// Every record is met once, in order, also where many bear one name.
func catListPages(t *testing.T, c cloud.Catalog) {
	want := map[cloud.Ref]bool{}
	for i := range 30 {
		ref := NewRef(qsc.NodeID(fmt.Sprint("home", i%2)), i/2, uint64(i%4))
		must(t, c.Insert(t.Context(), NewRecord(ref, []string{"x", "y"}[i%7%2])))
		if i%3 == 0 {
			must(t, setState(t.Context(), c, ref, cloud.Doomed))
		}
		want[ref] = true
	}
	for page := 1; page < 8; page++ {
		q := cloud.Query{States: []cloud.State{cloud.Pending, cloud.Doomed}, Limit: page}
		var last cloud.Record
		met := 0
		for {
			list, err := c.List(t.Context(), q)
			must(t, err)
			if len(list) == 0 {
				break
			}
			for _, r := range list {
				if met > 0 && !before(last, r) || !want[r.Ref] {
					t.Fatalf("page of %d: %v does not follow %v", page, r.Ref, last.Ref)
				}
				last, met = r, met+1
			}
			q.After, q.Behind = last.Name, last.Ref
		}
		if met != len(want) {
			t.Fatalf("pages of %d: met %d records, want %d", page, met, len(want))
		}
	}
}

// before is the order of a listing.
func before(a, b cloud.Record) bool {
	if a.Name != b.Name {
		return a.Name < b.Name
	}
	if a.Ref.Version != b.Ref.Version {
		return a.Ref.Version < b.Ref.Version
	}
	if d := bytes.Compare(a.Ref.Object[:], b.Ref.Object[:]); d != 0 {
		return d < 0
	}
	return a.Ref.Owner < b.Ref.Owner
}

func catPrefix(t *testing.T, c cloud.Catalog) {
	for i, name := range []string{"dir/a", "dir/b", "dir", "dir0", "dir/\U0010ffff", "di", "e"} {
		store(t, c, NewRef(home, i, 1), name)
	}
	wantNames(t, c, cloud.Query{Prefix: "dir/"}, "dir/a dir/b dir/\U0010ffff")
	wantNames(t, c, cloud.Query{Prefix: "dir/", After: "dir/a"}, "dir/b dir/\U0010ffff")
	wantNames(t, c, cloud.Query{Prefix: "dir/", After: "a"}, "dir/a dir/b dir/\U0010ffff")
	wantNames(t, c, cloud.Query{Prefix: "dir/", After: "e"}, "")
	wantNames(t, c, cloud.Query{Prefix: "\xff"}, "")
	wantNames(t, c, cloud.Query{Prefix: "dir/b\xff"}, "")
}

// What waits for repair is found page by page, and only that.
func catDegraded(t *testing.T, c cloud.Catalog) {
	for i := range 12 {
		r := store(t, c, NewRef(home, i, 1), fmt.Sprintf("%02d", i))
		must(t, c.Update(t.Context(), r.Ref, func(r *cloud.Record) error {
			for j := range r.Placements {
				if i%3 != 0 || j != 1 {
					r.Placements[j].State = cloud.Durable
				}
			}
			return nil
		}))
	}
	must(t, c.Insert(t.Context(), NewRecord(NewRef(home, 100, 1), "pending")))
	wantNames(t, c, cloud.Query{Degraded: true}, "00 03 06 09")
	wantNames(t, c, cloud.Query{Degraded: true, After: "03", Limit: 1}, "06")
	wantNames(t, c, cloud.Query{Degraded: true, States: []cloud.State{cloud.Pending}}, "pending")
	if n, err := c.Count(t.Context()); n != 12 || err != nil {
		t.Fatalf("count %d, %v; want 12", n, err)
	}
}

func catForget(t *testing.T, c cloud.Catalog) {
	r, other := store(t, c, NewRef(home, 1, 1), "name"), store(t, c, NewRef(home, 1, 2), "other")
	must(t, c.PutMasks(t.Context(), r.Ref, 0, masks(0, 4)))
	must(t, c.PutMasks(t.Context(), other.Ref, 0, masks(9, 4)))
	must(t, c.Forget(t.Context(), r.Ref))
	must(t, c.Forget(t.Context(), r.Ref))
	_, err := c.Lookup(t.Context(), "name")
	kind(t, err, qsc.NotFound)
	_, err = c.Masks(t.Context(), r.Ref, 0, 4)
	kind(t, err, qsc.NotFound)
	must(t, c.Insert(t.Context(), NewRecord(r.Ref, "name"))) // as if it had never been
	_, err = c.Masks(t.Context(), r.Ref, 0, 1)
	kind(t, err, qsc.NotFound)
	wantMasks(t, c, other.Ref, 0, masks(9, 4))
}

// masks makes those of n chunks; the first bears the number from.
func masks(from, n int) []byte {
	b := make([]byte, 0, n*48)
	for i := range n * 3 {
		b = append(b, bytes.Repeat([]byte{byte(from + i/3), byte((from + i/3) >> 8), byte(i % 3), 7}, 4)...)
	}
	return b
}

func wantMasks(t *testing.T, c cloud.Catalog, ref cloud.Ref, first uint32, want []byte) {
	t.Helper()
	got, err := c.Masks(t.Context(), ref, first, uint32(len(want)/48))
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Fatalf("masks of chunks %d+%d are others", first, len(want)/48)
	}
}

func catMasks(t *testing.T, c cloud.Catalog) {
	ref := store(t, c, NewRef(home, 1, 1), "name").Ref
	const top = cloud.MaxChunks - 10
	must(t, c.PutMasks(t.Context(), ref, 0, masks(0, 700)))
	must(t, c.PutMasks(t.Context(), ref, 700, masks(700, 300)))
	must(t, c.PutMasks(t.Context(), ref, 1001, masks(1001, 9))) // 1000 is missing
	must(t, c.PutMasks(t.Context(), ref, top, masks(5, 10)))
	must(t, c.PutMasks(t.Context(), ref, cloud.MetaChunk, masks(77, 1)))
	wantMasks(t, c, ref, 0, masks(0, 1000))
	wantMasks(t, c, ref, 650, masks(650, 100))
	wantMasks(t, c, ref, 699, masks(699, 1))
	wantMasks(t, c, ref, 999, masks(999, 1))
	wantMasks(t, c, ref, 1001, masks(1001, 9))
	wantMasks(t, c, ref, top, masks(5, 10))
	wantMasks(t, c, ref, cloud.MetaChunk, masks(77, 1))
	wantMasks(t, c, ref, 3, nil)
	for _, miss := range [][2]uint32{{999, 2}, {1000, 1}, {1000, 5}, {0, 1010}, {1009, 2}, {5000, 1}, {top - 1, 2}} {
		_, err := c.Masks(t.Context(), ref, miss[0], miss[1])
		kind(t, err, qsc.NotFound)
	}
}

// What is put last counts, whatever the runs' bounds (repair).
func catMasksOverlap(t *testing.T, c cloud.Catalog) {
	ref := store(t, c, NewRef(home, 1, 1), "name").Ref
	must(t, c.PutMasks(t.Context(), ref, 10, masks(10, 90)))
	want := masks(10, 90)
	for i, r := range [][2]int{{0, 5}, {40, 10}, {39, 2}, {45, 1}, {60, 40}, {10, 1}, {35, 30}, {10, 90}} {
		first, n := r[0]+10, r[1]
		if r[0] == 10 && n == 90 {
			first = 10
		}
		fresh := masks(1000*(i+1), n)
		must(t, c.PutMasks(t.Context(), ref, uint32(first), fresh))
		if need := (first - 10 + n) * 48; need > len(want) {
			want = append(want, make([]byte, need-len(want))...)
		}
		copy(want[(first-10)*48:], fresh)
		wantMasks(t, c, ref, 10, want)
	}
}

func catMasksRefuse(t *testing.T, c cloud.Catalog) {
	ref := store(t, c, NewRef(home, 1, 1), "name").Ref
	kind(t, c.PutMasks(t.Context(), NewRef(home, 2, 1), 0, masks(0, 1)), qsc.NotFound)
	kind(t, c.PutMasks(t.Context(), ref, 0, make([]byte, 47)), qsc.Invalid)
	kind(t, c.PutMasks(t.Context(), ref, 0, nil), qsc.Invalid)
	kind(t, c.PutMasks(t.Context(), ref, cloud.MaxChunks, masks(0, 1)), qsc.Invalid)
	kind(t, c.PutMasks(t.Context(), ref, cloud.MaxChunks-1, masks(0, 2)), qsc.Invalid)
	kind(t, c.PutMasks(t.Context(), ref, cloud.MetaChunk, masks(0, 2)), qsc.Invalid)
	_, err := c.Masks(t.Context(), ref, cloud.MetaChunk, 2)
	kind(t, err, qsc.Invalid)
	_, err = c.Masks(t.Context(), NewRef(home, 2, 1), 0, 1)
	kind(t, err, qsc.NotFound)
}

// Of many that race for a name exactly one wins, and no update is lost.
func catParallel(t *testing.T, c cloud.Catalog) {
	const racers = 8
	count := store(t, c, NewRef(home, 100, 1), "counter")
	var wg sync.WaitGroup
	won := make([]bool, racers)
	for i := range racers {
		ref := NewRef(home, i, 1)
		must(t, c.Insert(t.Context(), NewRecord(ref, "name")))
		wg.Go(func() {
			won[i] = setState(t.Context(), c, ref, cloud.Stored) == nil
			if _, err := c.List(t.Context(), cloud.Query{}); err != nil {
				t.Error(err)
			}
			err := c.Update(t.Context(), count.Ref, func(r *cloud.Record) error { r.Size++; return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	winners := 0
	for _, w := range won {
		if w {
			winners++
		}
	}
	got, err := c.Lookup(t.Context(), "counter")
	must(t, err)
	if winners != 1 || got.Size != count.Size+racers {
		t.Fatalf("%d winners and %d updates, want 1 and %d", winners, got.Size-count.Size, racers)
	}
}

// The catalogue keeps copies, and gives copies away.
func catOwnMemory(t *testing.T, c cloud.Catalog) {
	r, want := NewRecord(NewRef(home, 1, 1), "name"), NewRecord(NewRef(home, 1, 1), "name")
	want.State = cloud.Stored
	must(t, c.Insert(t.Context(), r))
	must(t, setState(t.Context(), c, r.Ref, cloud.Stored))
	m := masks(3, 2)
	must(t, c.PutMasks(t.Context(), r.Ref, 0, m))
	spoil := func(r cloud.Record) {
		for i := range r.Placements {
			clear(r.Placements[i].HashKey.Expose())
			r.Placements[i].Site = "spoilt"
		}
	}
	spoil(r)
	clear(m)
	got, err := c.Lookup(t.Context(), "name")
	must(t, err)
	spoil(got)
	gm, err := c.Masks(t.Context(), r.Ref, 0, 2)
	must(t, err)
	clear(gm)
	got, err = c.Lookup(t.Context(), "name")
	must(t, err)
	wantRecord(t, got, want)
	wantMasks(t, c, r.Ref, 0, masks(3, 2))
}

func catCancelled(t *testing.T, c cloud.Catalog) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kind(t, c.Insert(ctx, NewRecord(NewRef(home, 1, 1), "name")), qsc.Timeout)
	_, err := c.Lookup(ctx, "name")
	kind(t, err, qsc.Timeout)
	must(t, c.Insert(t.Context(), NewRecord(NewRef(home, 1, 1), "name")))
}
