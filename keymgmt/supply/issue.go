package supply

import (
	"context"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// run is a row of keys of one stride in one segment.
type run struct {
	g   *segment
	at  uint32 // first byte
	num int
}

// Stock implements keymgmt.Supply. It also begins to make key for the pair.
func (s *Supply) Stock(_ context.Context, master, slave qsc.AppID) (keymgmt.Stock, error) {
	policy, to, err := s.pair("supply.Stock", master, slave)
	if err != nil {
		return keymgmt.Stock{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.poolStream(to, policy.Protection)
	if err != nil {
		return keymgmt.Stock{}, err
	}
	s.used(pairName{master, slave}, to, policy)
	s.want(st, s.cfg.First)
	step := int64(stride(int(s.cfg.Limits.KeySize.Bytes())))
	k := keymgmt.Stock{Source: s.cfg.Node, Target: to, MaxKeys: s.cfg.Max / step, Protection: st.prot}
	for _, g := range st.order {
		if st.confirmed {
			k.Keys += int64(g.size-g.pos) / step
		}
		k.Class, k.Disjoint, k.Hops = k.Class|g.class, g.disjoint, int(g.hops)
	}
	return k, nil
}

// pair checks that both applications are known, that master lives here and that
// it may share key with slave. It returns their policy and the slave's node.
func (s *Supply) pair(op string, master, slave qsc.AppID) (keymgmt.Policy, qsc.NodeID, error) {
	home, ok := s.cfg.Directory.Home(master)
	to, known := s.cfg.Directory.Home(slave)
	policy, allowed := s.cfg.Directory.Allowed(master, slave)
	if !ok || !known || !allowed || home != s.cfg.Node || master == slave {
		return policy, to, qsc.E(op, qsc.Denied, string(s.cfg.Node), "%q may not share key with %q from here: ask the operator to allow the pair", master, slave)
	}
	return policy, to, nil
}

// Issue implements keymgmt.Supply.
func (s *Supply) Issue(ctx context.Context, r keymgmt.KeyRequest) (*keymgmt.Keys, error) {
	const op = "supply.Issue"
	if err := s.checkIssue(&r); err != nil {
		return nil, err
	}
	policy, to, err := s.pair(op, r.Master, r.Slaves[0])
	if err != nil {
		return nil, err
	}
	for _, a := range r.Slaves[1:] {
		if _, _, err := s.pair(op, r.Master, a); err != nil {
			return nil, err
		}
	}
	issue := func() (*keymgmt.Keys, error) {
		if len(r.Slaves) == 1 {
			return s.issue(ctx, r, policy, to)
		}
		return s.multicast(ctx, r, policy, to)
	}
	if policy.Retry <= 0 || r.Retry == "" {
		return issue()
	}
	return s.retries.do(retryKey{r.Client, r.Master, r.Retry}, nil, s.cfg.Now, policy.Retry, issue)
}

func (s *Supply) checkIssue(r *keymgmt.KeyRequest) error {
	l := s.cfg.Limits
	if r.Number == 0 {
		r.Number = 1
	}
	if r.Size == 0 {
		r.Size = l.KeySize
	}
	bad := func(format string, args ...any) error {
		return qsc.E("supply.Issue", qsc.Invalid, string(s.cfg.Node), format, args...)
	}
	switch {
	case r.Size%8 != 0 || r.Size < l.MinSize || r.Size > l.MaxSize:
		return bad("size %d bits: give a multiple of 8 from %d to %d", r.Size, l.MinSize, l.MaxSize)
	case r.Number < 0 || r.Number > l.MaxPerRequest:
		return bad("%d keys: ask for 1 to %d", r.Number, l.MaxPerRequest)
	case len(r.Slaves) < 1 || len(r.Slaves) > l.MaxSlaves+1:
		return bad("%d slaves: name 1 to %d", len(r.Slaves), l.MaxSlaves+1)
	}
	for i, a := range r.Slaves {
		if slices.Contains(r.Slaves[:i], a) {
			return bad("slave %q is named twice", a)
		}
	}
	return nil
}

// issue takes keys for one slave.
func (s *Supply) issue(ctx context.Context, r keymgmt.KeyRequest, policy keymgmt.Policy, to qsc.NodeID) (*keymgmt.Keys, error) {
	size := int(r.Size.Bytes())
	st, runs, err := s.acquire(ctx, acquisition{to, policy, pairName{r.Master, r.Slaves[0]}, stride(size), r.Number, r.Want})
	if err != nil {
		return nil, err
	}
	keys := s.keysOf(st, runs, size, r.Number)
	hash := st.head.tags.hash(r.Master, r.Slaves[0], size)
	err = s.cut(st, runs, func(i int, g *segment, at uint32, piece []byte) {
		copy(keys.Bytes.Expose()[i*size:(i+1)*size], piece[maskSize:])
		keys.IDs[i] = st.head.perm.encode(place{g.n, at / unit, uint32(size), tag(hash, piece)})
	}, stride(size))
	if err != nil {
		keys.Bytes.Zeroise()
		return nil, err
	}
	return keys, nil
}

// keysOf prepares the answer: the weakest of all segments it comes from.
func (s *Supply) keysOf(st *stream, runs []run, size, number int) *keymgmt.Keys {
	k := &keymgmt.Keys{IDs: make([]qsc.KeyID, number), Size: size, Bytes: qsc.NewSecret(make([]byte, size*number)), Disjoint: true}
	for i, x := range runs {
		k.Class |= x.g.class
		k.Hops = max(k.Hops, int(x.g.hops))
		k.Disjoint = k.Disjoint && x.g.disjoint
		if i == 0 || int(x.g.need) < k.Need {
			k.Paths, k.Need = int(x.g.paths), int(x.g.need)
		}
	}
	return k
}

// cut reads runs and hands out their pieces, then lets the segments go.
func (s *Supply) cut(st *stream, runs []run, piece func(i int, g *segment, at uint32, b []byte), step int) (err error) {
	i := 0
	for _, x := range runs {
		b := make([]byte, x.num*step)
		if err == nil {
			err = s.slabOf(st).read(x.g.slot, int64(x.at), b)
		}
		for k := 0; k < x.num && err == nil; k++ {
			piece(i, x.g, x.at+uint32(k*step), b[k*step:(k+1)*step])
			i++
		}
		clear(b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range runs {
		s.leave(st, x.g)
	}
	if err != nil {
		return qsc.E("supply.Issue", qsc.KindOf(err), string(s.cfg.Node), "stored key cannot be read, it is burnt: %w", err)
	}
	return nil
}

// acquisition asks for num pieces of step bytes of the stream to a node.
type acquisition struct {
	to     qsc.NodeID
	policy keymgmt.Policy
	pair   pairName
	step   int
	num    int
	want   qsc.Class
}

// acquire takes pieces, waiting for key a short time. They are durably marked
// when it returns; the caller must cut them.
func (s *Supply) acquire(ctx context.Context, a acquisition) (*stream, []run, error) {
	if err := s.j.ready(); err != nil {
		return nil, nil, err
	}
	var timer <-chan time.Time
	s.mu.Lock()
	for {
		st, err := s.poolStream(a.to, a.policy.Protection)
		if err != nil || s.closed {
			s.mu.Unlock()
			return nil, nil, orClosed(err)
		}
		s.used(a.pair, a.to, a.policy)
		if st.confirmed && st.head != nil {
			if runs := st.reserve(a.step, a.num, a.want); runs != nil {
				wait := s.mark(st, runs, a.step)
				s.want(st, 0)
				s.mu.Unlock()
				return st, runs, s.settleMarks(st, runs, a.step, wait)
			}
		}
		s.want(st, a.step*a.num)
		st.waiters++
		changed := st.changed
		s.mu.Unlock()
		if timer == nil {
			t := time.NewTimer(s.cfg.Wait)
			defer t.Stop()
			timer = t.C
		}
		late := false
		select {
		case <-changed:
		case <-ctx.Done():
			late = true
		case <-timer:
			late = true
		}
		s.mu.Lock()
		st.waiters--
		if err := s.hopeless(st, a, late); err != nil {
			s.mu.Unlock()
			return nil, nil, err
		}
	}
}

func orClosed(err error) error {
	if err == nil {
		err = qsc.E("supply.Issue", qsc.Unreachable, "", "the supply is closed: the node is stopping")
	}
	return err
}

// hopeless says why an Issue ends without key, or nil. mu is held.
func (s *Supply) hopeless(st *stream, a acquisition, late bool) error {
	noPath := qsc.IsKind(st.lastErr, qsc.NotFound) && st.making == 0
	if !late && !noPath {
		return nil
	}
	text := "ask again in a second"
	if a.step*a.num > int(s.cfg.Max) {
		text = "ask for less: more than that is never kept"
	}
	switch {
	case !st.confirmed:
		text = "the other node has not yet confirmed its state since the start: " + text
	case a.want != keymgmt.AnyClass && st.available() >= int64(a.step*a.num):
		text = "the key that is there is of a weaker class than asked for"
	}
	if st.lastErr != nil {
		return qsc.E("supply.Issue", qsc.Exhausted, string(a.to), "not enough key; %s: %w", text, st.lastErr)
	}
	return qsc.E("supply.Issue", qsc.Exhausted, string(a.to), "not enough key; %s", text)
}

// reserve takes num pieces of step bytes, in order, or none: nil. mu is held.
func (st *stream) reserve(step, num int, want qsc.Class) (runs []run) {
	left := num
	for _, g := range st.order {
		if k := min(left, int(g.size-g.pos)/step); k > 0 && g.class&^want == 0 {
			runs = append(runs, run{g, g.pos, k})
			if left -= k; left == 0 {
				break
			}
		}
	}
	if left > 0 {
		return nil
	}
	for _, x := range runs {
		x.g.pos += uint32(x.num * step)
		x.g.used += uint32(x.num * step)
		x.g.readers++
	}
	return runs
}

// markStep is how far ahead a mark goes at most, in time: what a crash burns of
// a stream under load is what it issues in so long.
const markStep = 5 * time.Millisecond

// mark puts marks into the journal for what was reserved and returns the rounds
// to wait for. mu is held.
func (s *Supply) mark(st *stream, runs []run, step int) (wait []*round) {
	now := s.cfg.Now()
	for _, x := range runs {
		g := x.g
		st.demand.spent += int64(x.num * step)
		if g.pos > g.pending || g.round == nil || g.round.failed() {
			g.pending = g.pos + ahead(g, now)
			g.markAt, g.markPos = now, g.pos
			g.round = s.j.add(record{kind: recMark, stream: st.num, n: g.n, a: g.pending, b: g.pos, c: uint64(g.used)})
		}
		if !over(g.round) {
			wait = append(wait, g.round)
		}
	}
	s.touch(st)
	return wait
}

// ahead returns how many bytes beyond what is issued to mark now: as many as were
// issued in the last few milliseconds.
func ahead(g *segment, now time.Time) uint32 {
	passed := now.Sub(g.markAt)
	if g.markAt.IsZero() || passed > 20*markStep {
		return 0
	}
	rate := float64(g.pos-g.markPos) / max(passed.Seconds(), 1e-4)
	return min(g.size-g.pos, uint32(min(rate*markStep.Seconds(), float64(g.size)))&^(unit-1))
}

// settleMarks waits until what was reserved is durably marked. If that fails the
// pieces are burnt.
func (s *Supply) settleMarks(st *stream, runs []run, step int, wait []*round) error {
	var err error
	for _, r := range wait {
		if e := s.j.wait(r); e != nil {
			err = e
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range runs {
		if err == nil {
			x.g.mark = max(x.g.mark, x.at+uint32(x.num*step))
			continue
		}
		x.g.used -= uint32(x.num * step)
		s.leave(st, x.g)
	}
	return err
}
