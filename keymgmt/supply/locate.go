package supply

import (
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// decode turns every identifier into the place it names in each stream from the
// master's node.
func (f *fetch) decode() (places [][]place, streams []*stream) {
	f.s.mu.Lock()
	for _, st := range f.s.slaves[f.from] {
		if st.head != nil && st.prot.Need >= f.least {
			streams = append(streams, st)
		}
	}
	f.s.mu.Unlock()
	for _, st := range streams {
		list := make([]place, len(f.r.IDs))
		for i, id := range f.r.IDs {
			list[i], _ = st.head.perm.decode(id)
		}
		places = append(places, list)
	}
	return places, streams
}

func (f *fetch) unconfirmed(streams []*stream) *stream {
	for _, st := range streams {
		if !st.confirmed && !st.dropped {
			return st
		}
	}
	return nil
}

// locate fills hits. mu is held.
func (f *fetch) locate(places [][]place, streams []*stream) error {
	f.hits = make([]hit, 0, len(f.r.IDs))
	foreign, now := false, f.s.cfg.Now()
	for i, id := range f.r.IDs {
		if g := f.s.gifts[id]; g != nil && g.stream.peer == f.from && g.stream.prot.Need >= f.least && g.master == f.r.Master && slices.Contains(g.slaves, f.r.Slave) {
			k := slices.Index(g.ids, id)
			if g.isGiven(slices.Index(g.slaves, f.r.Slave), k) || !now.Before(g.born.Add(f.ttl)) {
				return f.gone()
			}
			f.hits = append(f.hits, hit{st: g.stream, g: g.seg, gift: g, i: k, x: place{size: uint32(g.size)}})
			continue
		}
		h, ok := f.lookup(i, places, streams, now.Add(-f.ttl))
		switch {
		case ok:
			f.hits = append(f.hits, h)
		case f.elsewhere(id):
			foreign = true
		default:
			return f.gone()
		}
	}
	if foreign {
		return f.foreign()
	}
	for _, h := range f.hits {
		if h.x.size != f.hits[0].x.size {
			return qsc.E("supply.Fetch", qsc.Invalid, string(f.s.cfg.Node), "keys of different sizes: fetch each size by itself")
		}
	}
	f.inRows()
	return nil
}

func (f *fetch) lookup(i int, places [][]place, streams []*stream, before time.Time) (hit, bool) {
	for j, st := range streams {
		x := places[j][i]
		if g := st.holds(x); g != nil && !st.dropped && !g.stale(x, before) {
			return hit{st: st, g: g, x: x}, true
		}
	}
	return hit{}, false
}

// holds returns the segment in which a place lies whole and free. mu is held.
func (st *stream) holds(x place) *segment {
	g := st.segs[x.n]
	if g == nil || x.size == 0 || g.bits == nil {
		return nil
	}
	end := x.at + uint32(stride(int(x.size))/unit)
	if end > uint32(g.units()) || !g.isFree(x.at, end) {
		return nil
	}
	return g
}

// stale reports whether the place was known to be issued at or before a time.
func (g *segment) stale(x place, before time.Time) bool {
	for _, m := range g.issued {
		if x.at*unit < m.off {
			return m.at <= before.UnixNano()
		}
	}
	return false
}

// elsewhere reports whether an identifier names key that is here for others.
func (f *fetch) elsewhere(id qsc.KeyID) bool {
	if f.s.gifts[id] != nil {
		for _, st := range f.s.slaves[f.from] {
			if st.head == nil {
				continue
			}
			if x, ok := st.head.perm.decode(id); ok && st.segs[x.n] != nil && x.at < uint32(st.segs[x.n].units()) {
				return st.holds(x) != nil // the first slave's own copy
			}
		}
		return true
	}
	for _, list := range f.s.slaves {
		for _, st := range list {
			if st.head == nil {
				continue
			}
			if x, ok := st.head.perm.decode(id); ok && st.peer != f.from && st.holds(x) != nil {
				return true
			}
		}
	}
	return false
}

// inRows groups hits that follow each other in one segment.
func (f *fetch) inRows() {
	f.rows = f.rows[:0]
	for i, h := range f.hits {
		if n := len(f.rows); n > 0 && h.gift == nil {
			p := f.hits[i-1]
			if p.gift == nil && p.g == h.g && h.x.at == p.x.at+uint32(stride(int(p.x.size))/unit) {
				f.rows[n-1][1] = i + 1
				continue
			}
		}
		f.rows = append(f.rows, [2]int{i, i + 1})
	}
}
