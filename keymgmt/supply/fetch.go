package supply

import (
	"context"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// hit is where one key of a Fetch lies.
type hit struct {
	st   *stream
	g    *segment
	x    place
	gift *gift // or: key i of a gift
	i    int
}

// fetch is one Fetch under way.
type fetch struct {
	s     *Supply
	r     *keymgmt.FetchRequest
	from  qsc.NodeID
	ttl   time.Duration
	least int // relays that must come together to know a key, at least
	hits  []hit
	rows  [][2]int // hits that lie in a row in one segment: first, end
	keys  *keymgmt.Keys
}

// Fetch implements keymgmt.Supply. Besides the errors of the contract: Invalid
// for keys of different sizes in one request, Unreachable while the master's node
// has not confirmed its state since this one started, NoSpace.
func (s *Supply) Fetch(ctx context.Context, r keymgmt.FetchRequest) (*keymgmt.Keys, error) {
	const op = "supply.Fetch"
	if n := len(r.IDs); n < 1 || n > s.cfg.Limits.MaxPerRequest {
		return nil, qsc.E(op, qsc.Invalid, string(s.cfg.Node), "%d key identifiers: give 1 to %d", n, s.cfg.Limits.MaxPerRequest)
	}
	home, ok := s.cfg.Directory.Home(r.Slave)
	from, known := s.cfg.Directory.Home(r.Master)
	policy, allowed := s.cfg.Directory.Allowed(r.Master, r.Slave)
	if !ok || home != s.cfg.Node || !known || !allowed {
		return nil, qsc.E(op, qsc.Denied, string(s.cfg.Node), "%q may not fetch key of %q here: ask the operator to allow the pair", r.Slave, r.Master)
	}
	f := &fetch{s: s, r: &r, from: from, ttl: policy.TTL, least: s.least(from, policy.Protection)}
	if f.ttl == 0 {
		f.ttl = s.cfg.TTL
	}
	if policy.Retry <= 0 {
		return f.run(ctx)
	}
	key := retryKey{r.Client, r.Slave, "fetch " + string(r.Master) + " " + string(r.IDs[0][:])}
	return s.retries.do(key, r.IDs, s.cfg.Now, policy.Retry, func() (*keymgmt.Keys, error) { return f.run(ctx) })
}

// run finds, checks, marks and only then gives out.
func (f *fetch) run(ctx context.Context) (*keymgmt.Keys, error) {
	if err := f.s.j.ready(); err != nil {
		return nil, err
	}
	if err := f.find(ctx); err != nil {
		return nil, err
	}
	err := f.read()
	if err == nil {
		err = f.mark()
	}
	f.s.mu.Lock()
	f.enter(-1)
	f.s.mu.Unlock()
	if err != nil {
		if f.keys != nil {
			f.keys.Bytes.Zeroise()
		}
		return nil, err
	}
	return f.keys, nil
}

// gone is the answer for anything that is not there.
func (f *fetch) gone() error {
	return qsc.E("supply.Fetch", qsc.NotFound, string(f.s.cfg.Node), "at least one key is unknown, expired or already fetched; nothing was given out")
}

func (f *fetch) foreign() error {
	return qsc.E("supply.Fetch", qsc.Denied, string(f.s.cfg.Node), "at least one key was not issued by %q to %q; nothing was given out", f.r.Master, f.r.Slave)
}

// find locates all keys and holds their segments. While the master's node has
// not confirmed, it waits a short time.
func (f *fetch) find(ctx context.Context) error {
	s := f.s
	var timer <-chan time.Time
	for {
		places, streams := f.decode()
		s.mu.Lock()
		pending := f.unconfirmed(streams)
		if pending == nil {
			err := f.locate(places, streams)
			if err == nil {
				f.enter(1)
			}
			s.mu.Unlock()
			return err
		}
		changed := pending.changed
		s.touch(pending)
		closed := s.closed
		s.mu.Unlock()
		if timer == nil {
			t := time.NewTimer(s.cfg.Wait)
			defer t.Stop()
			timer = t.C
		}
		select {
		case <-changed:
			if !closed {
				continue
			}
		case <-ctx.Done():
		case <-timer:
		}
		return qsc.E("supply.Fetch", qsc.Unreachable, string(f.from), "the master's node has not yet confirmed its state since the start: ask again in a second")
	}
}

// enter counts readers of the segments up or down. mu is held.
func (f *fetch) enter(d int) {
	for _, row := range f.rows {
		h := f.hits[row[0]]
		if d > 0 {
			h.g.readers++
		} else {
			f.s.leave(h.st, h.g)
		}
	}
}

// read reads the keys and checks their tags.
func (f *fetch) read() error {
	size := int(f.hits[0].x.size)
	f.keys = &keymgmt.Keys{IDs: slices.Clone(f.r.IDs), Size: size, Bytes: qsc.NewSecret(make([]byte, size*len(f.hits))), Disjoint: true}
	step := stride(size)
	out := f.keys.Bytes.Expose()
	for _, row := range f.rows {
		h := f.hits[row[0]]
		f.weaken(&h)
		if h.gift != nil {
			if err := f.s.openGift(h.gift, h.i, out[row[0]*size:row[1]*size]); err != nil {
				return err
			}
			continue
		}
		b := make([]byte, (row[1]-row[0])*step)
		if err := f.s.pool.read(h.g.slot, int64(h.x.at)*unit, b); err != nil {
			return qsc.E("supply.Fetch", qsc.KindOf(err), string(f.s.cfg.Node), "stored key cannot be read: %w", err)
		}
		hash := h.st.head.tags.hash(f.r.Master, f.r.Slave, size)
		bad := uint64(0)
		for i := row[0]; i < row[1]; i++ {
			piece := b[(i-row[0])*step:]
			bad |= tag(hash, piece) ^ f.hits[i].x.tag
			copy(out[i*size:(i+1)*size], piece[maskSize:])
		}
		clear(b)
		if bad != 0 {
			return f.foreign()
		}
	}
	return nil
}

// weaken takes the class and the paths of one hit into the answer.
func (f *fetch) weaken(h *hit) {
	k, info := f.keys, h.g.segmentInfo
	if h.gift != nil {
		info = h.gift.info
	}
	k.Class |= info.class
	k.Hops = max(k.Hops, int(info.hops))
	k.Disjoint = k.Disjoint && info.disjoint
	if k.Need == 0 || int(info.need) < k.Need {
		k.Paths, k.Need = int(info.paths), int(info.need)
	}
}

// mark takes the keys, all or none, and makes that durable.
func (f *fetch) mark() error {
	f.s.mu.Lock()
	for i, row := range f.rows {
		if !f.take(row) {
			f.untake(f.rows[:i])
			f.s.mu.Unlock()
			return f.gone()
		}
	}
	var round *round
	for _, row := range f.rows {
		round = f.record(row)
	}
	f.s.mu.Unlock()
	return f.s.j.wait(round)
}

// extent returns the units of a row.
func (f *fetch) extent(row [2]int) (g *segment, a, b uint32) {
	first, last := f.hits[row[0]], f.hits[row[1]-1]
	return first.g, first.x.at, last.x.at + uint32(stride(int(last.x.size))/unit)
}

func (f *fetch) take(row [2]int) bool {
	h := f.hits[row[0]]
	if h.st.dropped || h.g.done {
		return false
	}
	if h.gift != nil {
		return h.gift.give(slices.Index(h.gift.slaves, f.r.Slave), h.i)
	}
	g, a, b := f.extent(row)
	if !g.isFree(a, b) {
		return false
	}
	g.take(a, b)
	return true
}

func (f *fetch) untake(rows [][2]int) {
	for _, row := range rows {
		if h := f.hits[row[0]]; h.gift != nil {
			h.gift.ungive(slices.Index(h.gift.slaves, f.r.Slave), h.i)
			continue
		}
		g, a, b := f.extent(row)
		g.untake(a, b)
	}
}

// record books a row and puts its mark into the journal.
func (f *fetch) record(row [2]int) *round {
	h := f.hits[row[0]]
	if h.gift != nil {
		return f.s.gave(h.gift, slices.Index(h.gift.slaves, f.r.Slave), h.i)
	}
	g, a, b := f.extent(row)
	g.used += (b - a) * unit
	f.s.touch(h.st)
	return f.s.j.add(record{kind: recTaken, stream: h.st.num, n: g.n, a: a, b: b, how: tookFetched})
}
