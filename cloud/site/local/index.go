package local

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// extent is a run of a share's pieces in one segment: 20 bytes for as many
// pieces as lie one behind the other.
type extent struct {
	seg   uint32
	first uint32
	count uint32
	off   uint32
	size  uint32
}

func (e extent) room() int64 { return int64(e.count) * step(e.size) }

// joinExtent appends a piece or run to the extents, joined where it continues.
func joinExtent(list []extent, e extent) []extent {
	if n := len(list); n > 0 {
		l := &list[n-1]
		if l.seg == e.seg && l.size == e.size && l.first+l.count == e.first && int64(l.off)+l.room() == int64(e.off) {
			l.count += e.count
			return list
		}
	}
	return append(list, e)
}

// share is a committed share. Its fields but the marked ones never change.
type share struct {
	ref     cloud.Ref
	seq     uint64
	gen     uint64
	bytes   int64
	chunks  uint32
	meta    uint32   // bytes of metadata
	seg     uint32   // of the commit record; compaction moves it
	off     uint32   // of the commit record; compaction moves it
	extents []extent // by rising chunk; replaced whole by compaction
	shadows []uint32 // other segments that may hold older commits of the ref
	dead    bool     // no longer in the index
}

func (sh *share) control() control {
	return control{recCommit, sh.ref, sh.seq, sh.gen, sh.chunks, sh.bytes, sh.meta}
}

// kill is a deletion, or a commit taken back, that is still needed: it lives
// while a segment may hold a commit that it must keep from coming back.
type kill struct {
	control
	seg     uint32
	off     uint32
	victims []uint32
}

// needed reports whether another segment than its own may hold a victim.
func (k *kill) needed() bool {
	return slices.ContainsFunc(k.victims, func(v uint32) bool { return v != k.seg })
}

func compareKeys(a, b cloud.Ref) int {
	return cmp.Or(bytes.Compare(a.Object[:], b.Object[:]), cmp.Compare(a.Version, b.Version))
}

const blockMax = 1024

// ordered keeps one owner's shares in order, in blocks, so that neither a
// lookup nor an insertion costs more than one block. It is lookup and listing
// in one, without a second table.
type ordered struct{ blocks [][]*share }

// find returns the place of the first share not before ref.
func (o *ordered) find(ref cloud.Ref) (block, i int, found bool) {
	block, _ = slices.BinarySearchFunc(o.blocks, ref, func(b []*share, ref cloud.Ref) int {
		return compareKeys(b[len(b)-1].ref, ref)
	})
	if block == len(o.blocks) {
		return block, 0, false
	}
	i, found = slices.BinarySearchFunc(o.blocks[block], ref, func(s *share, ref cloud.Ref) int {
		return compareKeys(s.ref, ref)
	})
	return block, i, found
}

// put adds a share or replaces the one with its ref.
func (o *ordered) put(sh *share) {
	b, i, found := o.find(sh.ref)
	switch {
	case found:
		o.blocks[b][i] = sh
		return
	case len(o.blocks) == 0:
		o.blocks = append(o.blocks, []*share{sh})
		return
	case b == len(o.blocks):
		b--
		i = len(o.blocks[b])
	}
	block := slices.Insert(o.blocks[b], i, sh)
	o.blocks[b] = block
	if len(block) > blockMax {
		// Rising keys fill the last block: split it at its end, not in the middle.
		at := len(block) / 2
		if b == len(o.blocks)-1 && i == len(block)-1 {
			at = len(block) - 1
		}
		tail := slices.Clone(block[at:])
		clear(block[at:])
		o.blocks[b] = slices.Clip(block[:at])
		o.blocks = slices.Insert(o.blocks, b+1, tail)
	}
}

func (o *ordered) remove(ref cloud.Ref) {
	b, i, found := o.find(ref)
	if !found {
		return
	}
	o.blocks[b] = slices.Delete(o.blocks[b], i, i+1)
	if len(o.blocks[b]) == 0 {
		o.blocks = slices.Delete(o.blocks, b, b+1)
	}
}

// index is every committed share of the site.
type index struct {
	owners map[qsc.NodeID]*ordered
	kills  map[cloud.Ref][]*kill
	shaded map[*share]bool // those with shadows: few
	shares int64
	bytes  int64
}

func newIndex() index {
	return index{owners: map[qsc.NodeID]*ordered{}, kills: map[cloud.Ref][]*kill{}, shaded: map[*share]bool{}}
}

// shade notes segments that may hold other commits of a visible share's ref.
func (x *index) shade(sh *share, segs ...uint32) {
	if len(segs) > 0 {
		sh.shadows = addSegment(sh.shadows, segs...)
		x.shaded[sh] = true
	}
}

func (x *index) get(ref cloud.Ref) *share {
	o := x.owners[ref.Owner]
	if o == nil {
		return nil
	}
	b, i, found := o.find(ref)
	if !found {
		return nil
	}
	return o.blocks[b][i]
}

// put makes a share visible; its ref must not be there.
func (x *index) put(sh *share) {
	o := x.owners[sh.ref.Owner]
	if o == nil {
		o = &ordered{}
		x.owners[sh.ref.Owner] = o
	}
	o.put(sh)
	x.shade(sh, sh.shadows...)
	x.shares++
	x.bytes += sh.bytes
}

// remove makes a share invisible.
func (x *index) remove(sh *share) {
	o := x.owners[sh.ref.Owner]
	o.remove(sh.ref)
	if len(o.blocks) == 0 {
		delete(x.owners, sh.ref.Owner)
	}
	sh.dead = true
	delete(x.shaded, sh)
	x.shares--
	x.bytes -= sh.bytes
}

// after lists up to limit shares of ref's owner that follow ref.
func (x *index) after(ref cloud.Ref, limit int) []*share {
	o := x.owners[ref.Owner]
	if o == nil {
		return nil
	}
	var list []*share
	b, i, found := o.find(ref)
	if found {
		i++
	}
	for ; b < len(o.blocks) && len(list) < limit; b, i = b+1, 0 {
		part := o.blocks[b][i:]
		list = append(list, part[:min(len(part), limit-len(list))]...)
	}
	return list
}

// withoutSegment forgets that a segment, now gone, may hold commits.
func (x *index) withoutSegment(id uint32) {
	gone := func(v uint32) bool { return v == id }
	for ref, list := range x.kills {
		list = slices.DeleteFunc(list, func(k *kill) bool {
			k.victims = slices.DeleteFunc(k.victims, gone)
			return len(k.victims) == 0
		})
		if x.kills[ref] = list; len(list) == 0 {
			delete(x.kills, ref)
		}
	}
	for sh := range x.shaded {
		if sh.shadows = slices.DeleteFunc(sh.shadows, gone); len(sh.shadows) == 0 {
			delete(x.shaded, sh)
		}
	}
}

// all yields every share.
func (x *index) all() func(func(int, *share) bool) {
	return func(yield func(int, *share) bool) {
		for _, o := range x.owners {
			for _, b := range o.blocks {
				for i, sh := range b {
					if !yield(i, sh) {
						return
					}
				}
			}
		}
	}
}

func addSegment(list []uint32, ids ...uint32) []uint32 {
	for _, id := range ids {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}
