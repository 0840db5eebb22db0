package supply

import (
	"slices"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// demand is how much key a master wants on a stream.
type demand struct {
	active  bool      // somebody has asked
	size    int       // bytes of the next segment
	need    int64     // bytes that waiting calls want
	coming  int64     // bytes of rounds under way
	spent   int64     // bytes since the last tick
	rate    float64   // bytes per second, smoothed
	after   time.Time // no round before this, for one has failed
	backoff time.Duration
	from    time.Time // the last round began, or was to begin
	booked  int       // its bytes, which the pace spreads from then on
}

// Bounds of the wait after a failed round.
const (
	backoffMin = 50 * time.Millisecond
	backoffMax = 5 * time.Second
	stockTime  = 2 // seconds of use that are kept in stock
	useful     = 10 * time.Minute
)

// repace is how often a stream that waits for its pace looks whether that is still
// the same.
const repace = time.Second

// due is when the pace allows the next round. It follows the pace: what was booked
// when a route had next to no key must not hold back the stream once it has another.
// mu is held.
func (s *Supply) due(st *stream) time.Time {
	d := &st.demand
	rate := s.pace(st)
	if rate <= 0 {
		return d.from
	}
	wait := min(float64(d.booked*8)/float64(rate), time.Hour.Seconds())
	return d.from.Add(time.Duration(wait * float64(time.Second)))
}

type pairName struct{ master, slave qsc.AppID }

// pairUse is a pair that has asked for key not long ago.
type pairUse struct {
	to     qsc.NodeID
	policy keymgmt.Policy
	last   time.Time
}

// used notes that a pair asks for key. mu is held.
func (s *Supply) used(name pairName, to qsc.NodeID, policy keymgmt.Policy) {
	p := s.pairs[name]
	if p == nil {
		p = &pairUse{}
		s.pairs[name] = p
	}
	p.to, p.policy, p.last = to, policy, s.cfg.Now()
}

// Flow is what this node wants to share with another: what a controller's demand
// is made of.
type Flow struct {
	To         qsc.NodeID
	Protection keymgmt.Protection
	Min, Max   qsc.BitRate // sums over the pairs of applications; Max 0: no bound
	Priority   int         // the highest
	TTL        time.Duration
	Used       qsc.BitRate // now, smoothed
	Stock      int64       // bytes
}

// Flows lists what the applications of this node want, sorted.
func (s *Supply) Flows() []Flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	flows := map[poolKey]*Flow{}
	bounded := map[poolKey]bool{}
	add := func(k poolKey, p keymgmt.Policy) {
		f := flows[k]
		if f == nil {
			f = &Flow{To: k.peer, Protection: k.prot}
			flows[k], bounded[k] = f, true
		}
		f.Min += p.MinRate
		f.Max += p.MaxRate
		f.Priority, f.TTL = max(f.Priority, p.Priority), max(f.TTL, p.TTL)
		bounded[k] = bounded[k] && p.MaxRate > 0
	}
	for _, p := range s.pairs {
		if p.to != s.cfg.Node {
			add(poolKey{p.to, normal(p.policy.Protection)}, p.policy)
		}
	}
	for _, st := range s.streams {
		k := poolKey{st.peer, st.prot}
		if st.role != master || st.peer == s.cfg.Node {
			continue
		}
		if st.purpose == forApp {
			add(k, keymgmt.Policy{MinRate: st.qos.MinRate, MaxRate: st.qos.MaxRate, Priority: int(st.qos.Priority), TTL: st.qos.TTL})
		}
		if f := flows[k]; f != nil {
			f.Used += qsc.BitRate(8 * st.demand.rate)
			f.Stock += st.available()
		}
	}
	var list []Flow
	for k, f := range flows {
		if !bounded[k] {
			f.Max = 0
		}
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Flow) int {
		if c := strings.Compare(string(a.To), string(b.To)); c != 0 {
			return c
		}
		return a.Protection.Paths*16 + a.Protection.Need - b.Protection.Paths*16 - b.Protection.Need
	})
	return list
}

// Warm begins to make key for a node before anybody asks.
func (s *Supply) Warm(to qsc.NodeID, p keymgmt.Protection) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.poolStream(to, p)
	if err == nil {
		s.want(st, 0)
	}
	return err
}

// want says that key is wanted, n bytes of it at once. mu is held.
func (s *Supply) want(st *stream, n int) {
	st.demand.active = true
	if st.waiters == 0 {
		st.demand.need = 0
	}
	st.demand.need = max(st.demand.need, int64(n))
	if _, hungry := s.hungry(st); hungry {
		wake(s.poke)
	}
}

// hungry reports whether another round should begin, and how large. mu is held.
func (s *Supply) hungry(st *stream) (size int, yes bool) {
	d := &st.demand
	if st.role != master || st.dropped || !d.active || st.making >= maxRounds || len(st.reports) > maxReports {
		return 0, false
	}
	if st.purpose == forApp {
		return s.hungryApp(st)
	}
	if st.head == nil {
		return headSize, st.making == 0
	}
	if !st.confirmed {
		return 0, false
	}
	have := st.available() + d.coming
	target := min(s.cfg.Max, max(int64(d.size), d.need+int64(d.size)/2, int64(stockTime*d.rate)))
	if have >= target {
		return 0, false
	}
	return s.segmentSize(st), true
}

// Bounds of what one stream has under way.
const (
	maxRounds  = 8
	maxReports = 4096
)

// segmentSize is a whole number of keys of the default size, and not more than
// the pace makes in half a second.
func (s *Supply) segmentSize(st *stream) int {
	size := st.demand.size
	if rate := s.pace(st); rate > 0 {
		size = min(size, max(s.cfg.First, int(float64(rate)/16)))
	}
	step := stride(int(s.cfg.Limits.KeySize.Bytes()))
	return size / step * step
}

// pace returns the bound on the rate of a stream, 0 for none. mu is held.
func (s *Supply) pace(st *stream) (rate qsc.BitRate) {
	if s.cfg.Pace != nil && st.peer != s.cfg.Node {
		rate = s.cfg.Pace(st.peer, st.prot)
	}
	most := qsc.BitRate(0)
	switch {
	case st.purpose == forApp:
		most = st.qos.MaxRate
	default:
		most = s.pairsRate(st)
	}
	if most > 0 && (rate <= 0 || most < rate) {
		rate = most
	}
	return rate
}

// pairsRate is the sum of what the pairs on a stream may have, 0 if one is not
// bounded.
func (s *Supply) pairsRate(st *stream) (sum qsc.BitRate) {
	if len(s.pairs) > 256 {
		return 0 // the controller's pace bounds them all
	}
	for _, p := range s.pairs {
		if p.to != st.peer || normal(p.policy.Protection) != st.prot {
			continue
		}
		if p.policy.MaxRate <= 0 {
			return 0
		}
		sum += p.policy.MaxRate
	}
	return sum
}

// priority of a stream: the highest of its pairs. mu is held.
func (s *Supply) priority(st *stream) (p int) {
	if st.purpose == forApp {
		return int(st.qos.Priority)
	}
	for _, u := range s.pairs {
		if u.to == st.peer && normal(u.policy.Protection) == st.prot {
			p = max(p, u.policy.Priority)
		}
	}
	return p
}

// measure takes one tick's use into the rates. mu is held.
func (s *Supply) measure(passed time.Duration) {
	for _, st := range s.streams {
		d := &st.demand
		if st.role != master {
			continue
		}
		now := float64(d.spent) / max(passed.Seconds(), 1e-3)
		d.rate += (now - d.rate) * min(1, passed.Seconds())
		if now > d.rate {
			d.rate = now // up at once, down slowly
		}
		d.spent = 0
	}
	old := s.cfg.Now().Add(-useful)
	for name, p := range s.pairs {
		if p.last.Before(old) {
			delete(s.pairs, name)
		}
	}
}
