package cloudtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// Owner is the owner of every share the kit stores, but for those that try to
// see another's: a room behind an authenticated channel is to be opened as this
// node.
const Owner = home

// Site runs the kit against the rooms that open yields; each call of open
// gives an empty one and sees to closing it with the test.
func Site(t *testing.T, open func(t *testing.T) cloud.Site) {
	for name, run := range map[string]func(*testing.T, cloud.Site){
		"RoundTrip": siteRoundTrip, "Ranges": siteRanges, "Invisible": siteInvisible, "Refuse": siteRefuse,
		"Replace": siteReplace, "Delete": siteDelete, "List": siteList, "Status": siteStatus,
		"Interleaved": siteInterleaved, "OwnMemory": siteOwnMemory, "ReadThroughDelete": siteReadThroughDelete,
		"Ended": siteEnded, "Cancelled": siteCancelled,
	} {
		t.Run(name, func(t *testing.T) { run(t, open(t)) })
	}
}

// Owners checks that one owner sees nothing of another's. Only a room that
// takes the owner from the Ref can be asked: one behind a channel takes it from
// there.
func Owners(t *testing.T, s cloud.Site) {
	mine, theirs := NewRef(home, 1, 1), NewRef("elsewhere", 1, 1)
	PutShare(t, s, mine, 1, 100)
	_, err := s.Open(t.Context(), theirs, 0, 1)
	kind(t, err, qsc.NotFound)
	_, err = s.Stat(t.Context(), theirs)
	kind(t, err, qsc.NotFound)
	must(t, s.Delete(t.Context(), theirs))
	PutShare(t, s, theirs, 2, 50)
	WantShare(t, s, mine, 1, 100)
	WantShare(t, s, theirs, 2, 50)
	for _, ref := range []cloud.Ref{mine, theirs} {
		list, err := s.List(t.Context(), cloud.Ref{Owner: ref.Owner}, 0)
		must(t, err)
		if len(list) != 1 || list[0].Ref != ref {
			t.Fatalf("%s sees %d shares, want its own", ref.Owner, len(list))
		}
	}
	list, err := s.List(t.Context(), cloud.Ref{Owner: "nobody"}, 0)
	must(t, err)
	if len(list) != 0 {
		t.Fatal("a third owner sees shares")
	}
}

// Piece makes a piece that shows which it is, of at least MinPiece bytes.
func Piece(ref cloud.Ref, gen int, chunk uint32, size int) []byte {
	b := make([]byte, max(size, cloud.MinPiece))
	word := fmt.Appendf(nil, "%v %d %d %d|", ref.Object, ref.Version, gen, chunk)
	for i := 0; i < len(b); i += len(word) {
		copy(b[i:], word)
	}
	return b
}

// Meta makes the metadata piece of a share.
func Meta(ref cloud.Ref, gen int) []byte {
	return binary.BigEndian.AppendUint64([]byte("meta "), ref.Version<<32+uint64(gen))
}

// PutShare stores a share with pieces of the given sizes.
func PutShare(t testing.TB, s cloud.Site, ref cloud.Ref, gen int, sizes ...int) {
	t.Helper()
	must(t, TryPut(context.Background(), s, ref, gen, sizes...))
}

// TryPut is PutShare that gives the error back; the writer is ended.
func TryPut(ctx context.Context, s cloud.Site, ref cloud.Ref, gen int, sizes ...int) error {
	w, err := s.Create(ctx, ref)
	if err != nil {
		return err
	}
	defer w.Abort()
	for i, size := range sizes {
		if err := w.Write(Piece(ref, gen, uint32(i), size)); err != nil {
			return err
		}
	}
	return w.Commit(Meta(ref, gen))
}

// WantShare reads a share whole and compares it with what PutShare stores.
func WantShare(t testing.TB, s cloud.Site, ref cloud.Ref, gen int, sizes ...int) {
	t.Helper()
	must(t, CheckShare(context.Background(), s, ref, gen, sizes...))
}

// CheckShare is WantShare that gives the difference back.
func CheckShare(ctx context.Context, s cloud.Site, ref cloud.Ref, gen int, sizes ...int) error {
	info, err := s.Stat(ctx, ref)
	if err != nil {
		return err
	}
	if info.Ref != ref || int(info.Chunks) != len(sizes) || !bytes.Equal(info.Meta, Meta(ref, gen)) {
		return fmt.Errorf("generation %d of %v: described as another", gen, ref)
	}
	r, err := s.Open(ctx, ref, 0, uint32(len(sizes)))
	if err != nil {
		return err
	}
	defer r.Close()
	total := int64(len(info.Meta))
	for i, size := range sizes {
		p, err := r.Next()
		if err != nil {
			return err
		}
		if !bytes.Equal(p, Piece(ref, gen, uint32(i), size)) {
			return fmt.Errorf("generation %d of %v: piece %d is another", gen, ref, i)
		}
		total += int64(len(p))
	}
	if _, err := r.Next(); err != io.EOF {
		return fmt.Errorf("after the last piece: %v, want EOF", err)
	}
	if info.Bytes != total {
		return fmt.Errorf("described as %d bytes, has %d", info.Bytes, total)
	}
	return nil
}

// manySizes are pieces around every bound, 6 MiB of them.
var manySizes = []int{cloud.MinPiece, 65, 71, 72, 73, 4096, 1, 65535, 65536, 65537, 1 << 20, 100, 100, 100, cloud.MaxPiece, 7000, 262144}

func siteRoundTrip(t *testing.T, s cloud.Site) {
	if s.ID() == "" {
		t.Fatal("the site has no name")
	}
	PutShare(t, s, NewRef(home, 1, 1), 1, manySizes...)
	PutShare(t, s, NewRef(home, 2, 1), 1) // an empty object
	PutShare(t, s, NewRef(home, 3, 0), 1, 5000)
	WantShare(t, s, NewRef(home, 1, 1), 1, manySizes...)
	WantShare(t, s, NewRef(home, 2, 1), 1)
	WantShare(t, s, NewRef(home, 3, 0), 1, 5000)
}

func siteRanges(t *testing.T, s cloud.Site) {
	ref := NewRef(home, 1, 1)
	PutShare(t, s, ref, 1, manySizes...)
	n := uint32(len(manySizes))
	for first := range n + 1 {
		for _, count := range []uint32{0, 1, 3, n - first} {
			if first+count > n {
				continue
			}
			r, err := s.Open(t.Context(), ref, first, count)
			must(t, err)
			for i := first; i < first+count; i++ {
				p, err := r.Next()
				must(t, err)
				if !bytes.Equal(p, Piece(ref, 1, i, manySizes[i])) {
					t.Fatalf("range %d+%d: piece %d is another", first, count, i)
				}
			}
			if _, err := r.Next(); err != io.EOF {
				t.Fatalf("range %d+%d: got %v behind the last, want EOF", first, count, err)
			}
			must(t, r.Close())
		}
	}
	for _, r := range [][2]uint32{{0, n + 1}, {n, 1}, {n + 1, 0}, {1, 1<<32 - 1}, {1<<32 - 1, 1}} {
		_, err := s.Open(t.Context(), ref, r[0], r[1])
		kind(t, err, qsc.Invalid)
	}
}

func siteInvisible(t *testing.T, s cloud.Site) {
	ref := NewRef(home, 1, 1)
	w, err := s.Create(t.Context(), ref)
	must(t, err)
	must(t, w.Write(Piece(ref, 1, 0, 100000)))
	unseen := func() {
		t.Helper()
		_, err := s.Stat(t.Context(), ref)
		kind(t, err, qsc.NotFound)
		_, err = s.Open(t.Context(), ref, 0, 0)
		kind(t, err, qsc.NotFound)
		list, err := s.List(t.Context(), cloud.Ref{Owner: home}, 0)
		must(t, err)
		if len(list) != 0 {
			t.Fatal("an uncommitted share is listed")
		}
	}
	unseen()
	must(t, w.Abort())
	unseen()
	must(t, w.Abort())
}

func siteRefuse(t *testing.T, s cloud.Site) {
	ref := NewRef(home, 1, 1)
	w, err := s.Create(t.Context(), ref)
	must(t, err)
	kind(t, w.Write(make([]byte, cloud.MinPiece-1)), qsc.Invalid)
	kind(t, w.Write(make([]byte, cloud.MaxPiece+1)), qsc.Invalid)
	kind(t, w.Write(nil), qsc.Invalid)
	must(t, w.Write(Piece(ref, 1, 0, 100))) // a refused piece is as if not offered
	kind(t, w.Commit(nil), qsc.Invalid)
	kind(t, w.Commit(make([]byte, cloud.MaxMeta+1)), qsc.Invalid)
	must(t, w.Commit(Meta(ref, 1)))
	WantShare(t, s, ref, 1, 100)
	_, err = s.Create(t.Context(), NewRef(home, 2, 1<<63))
	kind(t, err, qsc.Invalid)
	for _, limit := range []int{-1, cloud.MaxList + 1} {
		_, err = s.List(t.Context(), cloud.Ref{Owner: home}, limit)
		kind(t, err, qsc.Invalid)
	}
}

func siteReplace(t *testing.T, s cloud.Site) {
	ref := NewRef(home, 1, 1)
	PutShare(t, s, ref, 1, 1000, 2000)
	w, err := s.Create(t.Context(), ref)
	must(t, err)
	must(t, w.Write(Piece(ref, 2, 0, 50)))
	WantShare(t, s, ref, 1, 1000, 2000)
	must(t, w.Commit(Meta(ref, 2)))
	WantShare(t, s, ref, 2, 50)
	w, err = s.Create(t.Context(), ref)
	must(t, err)
	must(t, w.Write(Piece(ref, 3, 0, 60)))
	must(t, w.Abort())
	WantShare(t, s, ref, 2, 50)
	list, err := s.List(t.Context(), cloud.Ref{Owner: home}, 0)
	must(t, err)
	if len(list) != 1 {
		t.Fatalf("%d shares listed, want 1", len(list))
	}
}

func siteDelete(t *testing.T, s cloud.Site) {
	a, b := NewRef(home, 1, 1), NewRef(home, 1, 2)
	must(t, s.Delete(t.Context(), a))
	PutShare(t, s, a, 1, 100)
	PutShare(t, s, b, 1, 100)
	must(t, s.Delete(t.Context(), a))
	must(t, s.Delete(t.Context(), a))
	_, err := s.Stat(t.Context(), a)
	kind(t, err, qsc.NotFound)
	_, err = s.Open(t.Context(), a, 0, 1)
	kind(t, err, qsc.NotFound)
	WantShare(t, s, b, 1, 100)
	PutShare(t, s, a, 2, 200)
	WantShare(t, s, a, 2, 200)
}

func siteList(t *testing.T, s cloud.Site) {
	const objects, versions = 7, 3
	for i := range objects * versions {
		j := i * 5 % (objects * versions)
		PutShare(t, s, NewRef(home, j/versions, uint64(j%versions)), 1, 100+j)
	}
	for page := range 9 {
		after, met := cloud.Ref{Owner: home}, 0
		if page > 0 { // (object 0, version 0) is not behind the zero Ref
			met = 1
		} else {
			must(t, s.Delete(t.Context(), after))
			PutShare(t, s, after, 1, 100)
			met = 1
		}
		for {
			list, err := s.List(t.Context(), after, page)
			must(t, err)
			if len(list) == 0 {
				break
			}
			for _, info := range list {
				want := NewRef(home, met/versions, uint64(met%versions))
				if info.Ref != want || info.Chunks != 1 || !bytes.Equal(info.Meta, Meta(want, 1)) ||
					info.Bytes != int64(100+met+len(info.Meta)) {
					t.Fatalf("pages of %d: entry %d is %+v, want %v", page, met, info, want)
				}
				after, met = info.Ref, met+1
			}
		}
		if met != objects*versions {
			t.Fatalf("pages of %d: met %d shares, want %d", page, met, objects*versions)
		}
	}
}

func siteStatus(t *testing.T, s cloud.Site) {
	before, err := s.Status(t.Context())
	must(t, err)
	for i := range 3 {
		PutShare(t, s, NewRef(home, i, 1), 1, 1000)
	}
	must(t, s.Delete(t.Context(), NewRef(home, 1, 1)))
	st, err := s.Status(t.Context())
	must(t, err)
	want := int64(2 * (1000 + len(Meta(NewRef(home, 0, 1), 1))))
	if st.Shares != before.Shares+2 || st.Live != before.Live+want || st.Disk < st.Live || st.Free <= 0 {
		t.Fatalf("got %+v, want 2 shares and %d bytes more than %+v", st, want, before)
	}
}

// Several shares at a time, some given up, by several goroutines.
func siteInterleaved(t *testing.T, s cloud.Site) {
	var wg sync.WaitGroup
	sizes := func(i int) []int {
		list := make([]int, 20)
		for j := range list {
			list[j] = 100 + 977*i + 31*j*(1+i%3)
		}
		return append(list, 70000)
	}
	for i := range 12 {
		wg.Go(func() {
			ref := NewRef(home, i, 1)
			if i%4 != 3 {
				if err := TryPut(context.Background(), s, ref, 1, sizes(i)...); err != nil {
					t.Error(err)
				}
				return
			}
			w, err := s.Create(context.Background(), ref)
			if err != nil {
				t.Error(err)
				return
			}
			if err := w.Write(Piece(ref, 1, 0, 3000)); err != nil {
				t.Error(err)
			}
			if err := w.Abort(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 12 {
		if i%4 != 3 {
			WantShare(t, s, NewRef(home, i, 1), 1, sizes(i)...)
			continue
		}
		_, err := s.Stat(t.Context(), NewRef(home, i, 1))
		kind(t, err, qsc.NotFound)
	}
}

// The site keeps copies of what it is given.
func siteOwnMemory(t *testing.T, s cloud.Site) {
	ref := NewRef(home, 1, 1)
	w, err := s.Create(t.Context(), ref)
	must(t, err)
	for i, size := range []int{100, 200000, 100} {
		p := Piece(ref, 1, uint32(i), size)
		must(t, w.Write(p))
		clear(p)
	}
	meta := Meta(ref, 1)
	must(t, w.Commit(meta))
	clear(meta)
	WantShare(t, s, ref, 1, 100, 200000, 100)
}

// A reader sees the share that it opened, or an error, never another.
func siteReadThroughDelete(t *testing.T, s cloud.Site) {
	ref := NewRef(home, 1, 1)
	sizes := []int{300000, 300000, 300000, 300000}
	PutShare(t, s, ref, 1, sizes...)
	r, err := s.Open(t.Context(), ref, 0, 4)
	must(t, err)
	defer r.Close()
	p, err := r.Next()
	must(t, err)
	if !bytes.Equal(p, Piece(ref, 1, 0, 300000)) {
		t.Fatal("the first piece is another")
	}
	must(t, s.Delete(t.Context(), ref))
	PutShare(t, s, ref, 2, sizes...)
	for i := uint32(1); i < 4; i++ {
		p, err := r.Next()
		if err != nil {
			break
		}
		if !bytes.Equal(p, Piece(ref, 1, i, 300000)) {
			t.Fatalf("piece %d is another", i)
		}
	}
}

func siteEnded(t *testing.T, s cloud.Site) {
	ref := NewRef(home, 1, 1)
	w, err := s.Create(t.Context(), ref)
	must(t, err)
	must(t, w.Write(Piece(ref, 1, 0, 100)))
	must(t, w.Commit(Meta(ref, 1)))
	must(t, w.Abort()) // does nothing
	kind(t, w.Write(Piece(ref, 1, 1, 100)), qsc.Invalid)
	kind(t, w.Commit(Meta(ref, 1)), qsc.Invalid)
	WantShare(t, s, ref, 1, 100)
	w, err = s.Create(t.Context(), NewRef(home, 2, 1))
	must(t, err)
	must(t, w.Abort())
	kind(t, w.Commit(Meta(ref, 1)), qsc.Invalid)
}

func siteCancelled(t *testing.T, s cloud.Site) {
	ref := NewRef(home, 1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := s.Create(ctx, ref)
	must(t, err)
	must(t, w.Write(Piece(ref, 1, 0, 100)))
	cancel()
	if err := w.Commit(Meta(ref, 1)); err == nil {
		t.Fatal("a commit after the caller went away succeeded")
	}
	must(t, w.Abort())
	_, err = s.Stat(t.Context(), ref)
	kind(t, err, qsc.NotFound)
	_, err = s.Create(ctx, ref)
	kind(t, err, qsc.Timeout)
}
