package catalog

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
)

// BenchmarkStore is an object's whole life in the catalogue: insert, masks of
// ten chunks and of the metadata, stored. Three synced transactions and one.
func BenchmarkStore(b *testing.B) {
	c := openAt(b, filepath.Join(b.TempDir(), "catalog.db"))
	for i := 0; b.Loop(); i++ {
		put(b, c, i)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}

func BenchmarkInsert(b *testing.B) {
	c := openAt(b, filepath.Join(b.TempDir(), "catalog.db"))
	for i := 0; b.Loop(); i++ {
		if err := c.Insert(bg, cloudtest.NewRecord(cloudtest.NewRef("home", i, 1), fmt.Sprint("name", i))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "inserts/s")
}

func BenchmarkLookup(b *testing.B) {
	const names = 2000
	c := openAt(b, filepath.Join(b.TempDir(), "catalog.db"))
	for i := range names {
		put(b, c, i)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := c.Lookup(bg, fmt.Sprint("name", i*7919%names)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
}

func put(b *testing.B, c *Catalog, i int) {
	ref := cloudtest.NewRef(qsc.NodeID("home"), i, 1)
	err := c.Insert(bg, cloudtest.NewRecord(ref, fmt.Sprint("name", i)))
	if err == nil {
		err = c.PutMasks(bg, ref, 0, make([]byte, 10*48))
	}
	if err == nil {
		err = c.PutMasks(bg, ref, cloud.MetaChunk, make([]byte, 48))
	}
	if err == nil {
		err = c.Update(bg, ref, func(r *cloud.Record) error { r.State = cloud.Stored; return nil })
	}
	if err != nil {
		b.Fatal(err)
	}
}
