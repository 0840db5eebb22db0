// Package cloudtest is the conformance kit of the cloud's rooms, Catalog and
// Site, with a plain room of each in memory that passes it.
//
// It is for tests only and keeps nothing durable.
package cloudtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// kind fails the test unless err is of the kind.
func kind(t testing.TB, err error, k qsc.Kind) {
	t.Helper()
	if !qsc.IsKind(err, k) {
		t.Fatalf("got error %v, want %v", err, k)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// NewRef returns the ref of test object i.
func NewRef(owner qsc.NodeID, i int, version uint64) cloud.Ref {
	r := cloud.Ref{Owner: owner, Version: version}
	binary.BigEndian.PutUint64(r.Object[8:], uint64(i))
	return r
}

// NewRecord returns a pending record of a (2,3) object.
func NewRecord(ref cloud.Ref, name string) cloud.Record {
	r := cloud.Record{
		Ref: ref, Name: name, Size: 10_000_000, Chunk: 1 << 20, K: 2, N: 3, W: 3,
		Class: qsc.OSRandom, Policy: "two-of-three", Created: time.UnixMicro(1_700_000_000_123_456).UTC(),
	}
	for i, site := range []qsc.SiteID{"alpha", "beta", "gamma"} {
		key := bytes.Repeat([]byte{byte(i + 1)}, cloud.HashKeySize)
		r.Placements = append(r.Placements, cloud.Placement{Site: site, Point: byte(i + 1), HashKey: qsc.NewSecret(key)})
	}
	return r
}

// same compares records, hash keys included.
func same(a, b cloud.Record) bool {
	if len(a.Placements) != len(b.Placements) {
		return false
	}
	for i, p := range a.Placements {
		q := b.Placements[i]
		if p.Site != q.Site || p.Point != q.Point || p.State != q.State || !p.HashKey.Equal(q.HashKey) {
			return false
		}
	}
	return a.Ref == b.Ref && a.Name == b.Name && a.State == b.State && a.Size == b.Size && a.Chunk == b.Chunk &&
		a.K == b.K && a.N == b.N && a.W == b.W && a.Class == b.Class && a.Policy == b.Policy && a.Created.Equal(b.Created)
}

func wantRecord(t testing.TB, got, want cloud.Record) {
	t.Helper()
	if !same(got, want) {
		t.Fatalf("got record %+v, want %+v", got, want)
	}
}

// store inserts a record and makes it stored.
func store(t testing.TB, c cloud.Catalog, ref cloud.Ref, name string) cloud.Record {
	t.Helper()
	r := NewRecord(ref, name)
	must(t, c.Insert(t.Context(), r))
	must(t, setState(t.Context(), c, ref, cloud.Stored))
	r.State = cloud.Stored
	return r
}

func setState(ctx context.Context, c cloud.Catalog, ref cloud.Ref, s cloud.State) error {
	return c.Update(ctx, ref, func(r *cloud.Record) error {
		r.State = s
		return nil
	})
}
