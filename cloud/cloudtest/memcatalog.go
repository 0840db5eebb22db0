package cloudtest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// MemCatalog is a cloud.Catalog in memory.
type MemCatalog struct {
	mu    sync.Mutex
	recs  map[cloud.Ref]cloud.Record
	masks map[cloud.Ref]map[uint32][]byte
}

// NewMemCatalog returns an empty catalogue.
func NewMemCatalog() *MemCatalog {
	return &MemCatalog{recs: map[cloud.Ref]cloud.Record{}, masks: map[cloud.Ref]map[uint32][]byte{}}
}

func (c *MemCatalog) enter(ctx context.Context, op string) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, qsc.E(op, qsc.Timeout, "", "%w", err)
	}
	c.mu.Lock()
	return c.mu.Unlock, nil
}

func clone(r cloud.Record) cloud.Record {
	r.Placements = slices.Clone(r.Placements)
	for i := range r.Placements {
		p := &r.Placements[i]
		p.HashKey = qsc.NewSecret(bytes.Clone(p.HashKey.Expose()))
	}
	return r
}

// Insert implements cloud.Catalog.
func (c *MemCatalog) Insert(ctx context.Context, r cloud.Record) error {
	const op = "mem.Insert"
	leave, err := c.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	if err := r.Check(op); err != nil {
		return err
	}
	if r.State != cloud.Pending {
		return qsc.E(op, qsc.Invalid, "", "a record begins as pending")
	}
	if _, ok := c.recs[r.Ref]; ok {
		return qsc.E(op, qsc.Exists, "", "the object is in the catalogue already")
	}
	c.recs[r.Ref] = clone(r)
	return nil
}

// Update implements cloud.Catalog.
func (c *MemCatalog) Update(ctx context.Context, ref cloud.Ref, fn func(*cloud.Record) error) error {
	const op = "mem.Update"
	leave, err := c.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	old, ok := c.recs[ref]
	if !ok {
		return qsc.E(op, qsc.NotFound, "", "no such object")
	}
	r := clone(old)
	if err := fn(&r); err != nil {
		return err
	}
	if r.Ref != old.Ref || r.Name != old.Name || r.N != old.N {
		return qsc.E(op, qsc.Invalid, "", "an update may not change the ref, the name or n")
	}
	if err := r.Check(op); err != nil {
		return err
	}
	if r.State == cloud.Stored && old.State != cloud.Stored {
		if err := c.takeName(op, r); err != nil {
			return err
		}
	}
	c.recs[ref] = clone(r)
	return nil
}

func (c *MemCatalog) takeName(op string, r cloud.Record) error {
	for ref, o := range c.recs {
		if o.Name != r.Name || o.State != cloud.Stored || ref == r.Ref {
			continue
		}
		if ref.Version >= r.Ref.Version {
			return qsc.E(op, qsc.Exists, "", "the same or a later version was stored meanwhile")
		}
		o.State = cloud.Doomed
		c.recs[ref] = o
	}
	return nil
}

// Lookup implements cloud.Catalog.
func (c *MemCatalog) Lookup(ctx context.Context, name string) (cloud.Record, error) {
	leave, err := c.enter(ctx, "mem.Lookup")
	if err != nil {
		return cloud.Record{}, err
	}
	defer leave()
	for _, r := range c.recs {
		if r.Name == name && r.State == cloud.Stored {
			return clone(r), nil
		}
	}
	return cloud.Record{}, qsc.E("mem.Lookup", qsc.NotFound, "", "no such object")
}

// List implements cloud.Catalog.
func (c *MemCatalog) List(ctx context.Context, q cloud.Query) ([]cloud.Record, error) {
	const op = "mem.List"
	leave, err := c.enter(ctx, op)
	if err != nil {
		return nil, err
	}
	defer leave()
	limit, err := cloud.Page(op, q.Limit)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(q.States, func(s cloud.State) bool { return s > cloud.Doomed }) {
		return nil, qsc.E(op, qsc.Invalid, "", "a state is not known")
	}
	var list []cloud.Record
	for _, r := range c.recs {
		if wanted(r, q) {
			list = append(list, clone(r))
		}
	}
	slices.SortFunc(list, func(a, b cloud.Record) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	return list[:min(limit, len(list))], nil
}

// Count implements cloud.Catalog.
func (c *MemCatalog) Count(ctx context.Context) (int64, error) {
	leave, err := c.enter(ctx, "mem.Count")
	if err != nil {
		return 0, err
	}
	defer leave()
	n := int64(0)
	for _, r := range c.recs {
		if r.State == cloud.Stored {
			n++
		}
	}
	return n, nil
}

func wanted(r cloud.Record, q cloud.Query) bool {
	states := q.States
	if len(states) == 0 {
		states = []cloud.State{cloud.Stored}
	}
	if !slices.Contains(states, r.State) || !strings.HasPrefix(r.Name, q.Prefix) {
		return false
	}
	if q.Degraded && !slices.ContainsFunc(r.Placements, func(p cloud.Placement) bool { return p.State != cloud.Durable }) {
		return false
	}
	if q.After == "" && q.Behind == (cloud.Ref{}) || r.Name > q.After {
		return true
	}
	return q.Behind != (cloud.Ref{}) && before(cloud.Record{Name: q.After, Ref: q.Behind}, r)
}

// Forget implements cloud.Catalog.
func (c *MemCatalog) Forget(ctx context.Context, ref cloud.Ref) error {
	leave, err := c.enter(ctx, "mem.Forget")
	if err != nil {
		return err
	}
	defer leave()
	delete(c.recs, ref)
	delete(c.masks, ref)
	return nil
}

// PutMasks implements cloud.Catalog.
func (c *MemCatalog) PutMasks(ctx context.Context, ref cloud.Ref, first uint32, masks []byte) error {
	const op = "mem.PutMasks"
	leave, err := c.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	r, ok := c.recs[ref]
	if !ok {
		return qsc.E(op, qsc.NotFound, "", "no such object")
	}
	each := r.N * 16
	if len(masks) == 0 || len(masks)%each != 0 {
		return qsc.E(op, qsc.Invalid, "", "%d bytes are not masks of chunks", len(masks))
	}
	if err := cloud.CheckRun(op, first, uint32(len(masks)/each)); err != nil {
		return err
	}
	if c.masks[ref] == nil {
		c.masks[ref] = map[uint32][]byte{}
	}
	for i := range len(masks) / each {
		c.masks[ref][first+uint32(i)] = bytes.Clone(masks[i*each : (i+1)*each])
	}
	return nil
}

// Masks implements cloud.Catalog.
func (c *MemCatalog) Masks(ctx context.Context, ref cloud.Ref, first, count uint32) ([]byte, error) {
	const op = "mem.Masks"
	leave, err := c.enter(ctx, op)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := cloud.CheckRun(op, first, count); err != nil {
		return nil, err
	}
	if _, ok := c.recs[ref]; !ok {
		return nil, qsc.E(op, qsc.NotFound, "", "no such object")
	}
	var all []byte
	for i := range count {
		m, ok := c.masks[ref][first+i]
		if !ok {
			return nil, qsc.E(op, qsc.NotFound, "", "the masks of chunk %d are not kept", first+i)
		}
		all = append(all, m...)
	}
	return all, nil
}

// Close implements cloud.Catalog.
func (c *MemCatalog) Close() error { return nil }
