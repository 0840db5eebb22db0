package keymgmttest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// SupplyConfig sets up a Supply double. The zero value serves every application
// with endless key.
type SupplyConfig struct {
	Limits  keymgmt.Limits                                       // zero fields: DefaultLimits
	Homes   map[qsc.AppID]qsc.NodeID                             // nil: each application at a node of its own name
	Allowed func(master, slave qsc.AppID) (keymgmt.Policy, bool) // nil: every pair, no retry
	Stock   int64                                                // bytes of key for each ordered pair of nodes; 0: endless
	Chunks  int64                                                // chunks of each stream; 0: endless
	Class   qsc.Class                                            //
	Hops    int                                                  // 0: 1
	Seed    uint64                                               // of all key bytes
	Now     func() time.Time                                     // nil: time.Now
}

// DefaultLimits are the limits of a double whose config names none.
var DefaultLimits = keymgmt.Limits{KeySize: 256, MinSize: 64, MaxSize: 4096, MaxPerRequest: 128, MaxSlaves: 8}

// Supply is a keymgmt.Supply in memory that serves the applications of all nodes:
// hand the same one to the gateways of both ends. It is also a
// keymgmt.Directory. It keeps nothing on disk.
type Supply struct {
	cfg SupplyConfig

	mu      sync.Mutex
	r       *rand.ChaCha8
	stock   map[[2]qsc.NodeID]int64
	keys    map[qsc.KeyID]*issued
	retried map[retryName]*retryAnswer
	streams map[[16]byte]*doubleStream
	fail    error
	random  int64 // bytes of physical randomness; -1: endless
	expired int64
}

// issued is one key that somebody has still to fetch.
type issued struct {
	master qsc.AppID
	slaves []qsc.AppID // to whom it is still due
	named  []qsc.AppID // to whom it was issued
	key    []byte
	until  time.Time
}

type retryName struct {
	client, what string
	app          qsc.AppID
}

type retryAnswer struct {
	keys  *keymgmt.Keys
	until time.Time
}

var (
	_ keymgmt.Supply    = (*Supply)(nil)
	_ keymgmt.Directory = (*Supply)(nil)
)

// NewSupply makes a double.
func NewSupply(cfg SupplyConfig) *Supply {
	def := DefaultLimits
	l := &cfg.Limits
	if l.KeySize == 0 {
		l.KeySize = def.KeySize
	}
	if l.MinSize == 0 {
		l.MinSize = min(def.MinSize, l.KeySize)
	}
	if l.MaxSize == 0 {
		l.MaxSize = max(def.MaxSize, l.KeySize)
	}
	if l.MaxPerRequest == 0 {
		l.MaxPerRequest, l.MaxSlaves = def.MaxPerRequest, max(def.MaxSlaves, l.MaxSlaves)
	}
	if cfg.Hops == 0 {
		cfg.Hops = 1
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], cfg.Seed)
	return &Supply{cfg: cfg, r: rand.NewChaCha8(seed), stock: map[[2]qsc.NodeID]int64{}, keys: map[qsc.KeyID]*issued{},
		retried: map[retryName]*retryAnswer{}, streams: map[[16]byte]*doubleStream{}, random: -1}
}

// Home implements keymgmt.Directory.
func (s *Supply) Home(app qsc.AppID) (qsc.NodeID, bool) {
	if s.cfg.Homes == nil {
		return qsc.NodeID(app), app != ""
	}
	n, ok := s.cfg.Homes[app]
	return n, ok
}

// Allowed implements keymgmt.Directory.
func (s *Supply) Allowed(master, slave qsc.AppID) (keymgmt.Policy, bool) {
	if s.cfg.Allowed == nil {
		return keymgmt.Policy{}, true
	}
	return s.cfg.Allowed(master, slave)
}

// SetStock sets what is left between the nodes of two applications, in bytes.
// It has an effect only when the config's Stock is not 0.
func (s *Supply) SetStock(master, slave qsc.AppID, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stock[s.nodes(master, slave)] = bytes
}

// SetRandom sets how many bytes of physical randomness are left; -1 is endless.
func (s *Supply) SetRandom(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.random = bytes
}

// Fail makes every later call fail with err; nil ends that.
func (s *Supply) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Outstanding returns how many issued keys wait for at least one slave, and how
// many have expired unfetched.
func (s *Supply) Outstanding() (waiting, expired int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.keys)), s.expired
}

func (s *Supply) nodes(master, slave qsc.AppID) [2]qsc.NodeID {
	a, _ := s.Home(master)
	b, _ := s.Home(slave)
	return [2]qsc.NodeID{a, b}
}

func (s *Supply) left(p [2]qsc.NodeID) int64 {
	if s.cfg.Stock == 0 {
		return 1 << 40
	}
	if n, ok := s.stock[p]; ok {
		return n
	}
	return s.cfg.Stock
}

// pair checks that both are known and allowed.
func (s *Supply) pair(op string, master, slave qsc.AppID) (keymgmt.Policy, error) {
	if s.fail != nil {
		return keymgmt.Policy{}, s.fail
	}
	_, okM := s.Home(master)
	_, okS := s.Home(slave)
	policy, ok := s.Allowed(master, slave)
	if !okM || !okS || !ok || master == slave {
		return policy, qsc.E(op, qsc.Denied, "", "%q may not share key with %q: ask the operator to allow the pair", master, slave)
	}
	return policy, nil
}

// Stock implements keymgmt.Supply.
func (s *Supply) Stock(_ context.Context, master, slave qsc.AppID) (keymgmt.Stock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	policy, err := s.pair("supply.Stock", master, slave)
	if err != nil {
		return keymgmt.Stock{}, err
	}
	p := s.nodes(master, slave)
	size := s.cfg.Limits.KeySize.Bytes()
	most := max(s.cfg.Stock, s.left(p))
	return keymgmt.Stock{Source: p[0], Target: p[1], Keys: s.left(p) / size, MaxKeys: most / size, Class: s.cfg.Class,
		Protection: policy.Protection, Disjoint: true, Hops: s.cfg.Hops}, nil
}

// Issue implements keymgmt.Supply.
func (s *Supply) Issue(_ context.Context, r keymgmt.KeyRequest) (*keymgmt.Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cfg.checkIssue(&r); err != nil {
		return nil, err
	}
	var policy keymgmt.Policy
	for i := len(r.Slaves) - 1; i >= 0; i-- {
		p, err := s.pair("supply.Issue", r.Master, r.Slaves[i])
		if err != nil {
			return nil, err
		}
		policy = p
	}
	if s.cfg.Class&^r.Want != 0 {
		return nil, qsc.E("supply.Issue", qsc.Exhausted, "", "no key of class %v is made here", r.Want)
	}
	name := retryName{r.Client, "issue " + r.Retry, r.Master}
	retry := policy.Retry > 0 && r.Retry != ""
	if a := s.retried[name]; retry && a != nil && s.cfg.Now().Before(a.until) {
		return cloneKeys(a.keys), nil
	}
	keys, err := s.issue(&r, policy)
	if err == nil && retry {
		s.retried[name] = &retryAnswer{cloneKeys(keys), s.cfg.Now().Add(policy.Retry)}
	}
	return keys, err
}

func (c *SupplyConfig) checkIssue(r *keymgmt.KeyRequest) error {
	l := c.Limits
	if r.Number == 0 {
		r.Number = 1
	}
	if r.Size == 0 {
		r.Size = l.KeySize
	}
	seen := map[qsc.AppID]bool{}
	for _, a := range r.Slaves {
		if seen[a] {
			return qsc.E("supply.Issue", qsc.Invalid, "", "slave %q is named twice", a)
		}
		seen[a] = true
	}
	switch {
	case r.Size%8 != 0 || r.Size < l.MinSize || r.Size > l.MaxSize:
		return qsc.E("supply.Issue", qsc.Invalid, "", "size %d bits: give a multiple of 8 from %d to %d", r.Size, l.MinSize, l.MaxSize)
	case r.Number < 0 || r.Number > l.MaxPerRequest:
		return qsc.E("supply.Issue", qsc.Invalid, "", "%d keys: give 1 to %d", r.Number, l.MaxPerRequest)
	case len(r.Slaves) < 1 || len(r.Slaves) > l.MaxSlaves+1:
		return qsc.E("supply.Issue", qsc.Invalid, "", "%d slaves: name 1 to %d", len(r.Slaves), l.MaxSlaves+1)
	}
	return nil
}

func (s *Supply) issue(r *keymgmt.KeyRequest, policy keymgmt.Policy) (*keymgmt.Keys, error) {
	size := int(r.Size.Bytes())
	p := s.nodes(r.Master, r.Slaves[0])
	left := s.left(p)
	if left < int64(size*r.Number) {
		return nil, qsc.E("supply.Issue", qsc.Exhausted, string(p[1]), "%d bytes of key are left, %d are needed: ask again in a second", left, size*r.Number)
	}
	s.stock[p] = left - int64(size*r.Number)
	ttl := policy.TTL
	if ttl == 0 {
		ttl = 24 * time.Hour
	}
	k := &keymgmt.Keys{Size: size, Class: s.cfg.Class, Hops: s.cfg.Hops, Paths: max(1, policy.Protection.Paths), Disjoint: true}
	k.Need = policy.Protection.Need
	if k.Need == 0 {
		k.Need = k.Paths
	}
	b := make([]byte, size*r.Number)
	_, _ = s.r.Read(b)
	k.Bytes = qsc.NewSecret(b)
	for i := range r.Number {
		id := s.newID()
		k.IDs = append(k.IDs, id)
		s.keys[id] = &issued{r.Master, append([]qsc.AppID(nil), r.Slaves...), append([]qsc.AppID(nil), r.Slaves...),
			append([]byte(nil), b[i*size:(i+1)*size]...), s.cfg.Now().Add(ttl)}
	}
	return k, nil
}

// newID draws a UUID of version 4.
func (s *Supply) newID() (id qsc.KeyID) {
	_, _ = s.r.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// Fetch implements keymgmt.Supply.
func (s *Supply) Fetch(_ context.Context, r keymgmt.FetchRequest) (*keymgmt.Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	if len(r.IDs) < 1 || len(r.IDs) > s.cfg.Limits.MaxPerRequest {
		return nil, qsc.E("supply.Fetch", qsc.Invalid, "", "%d key IDs: give 1 to %d", len(r.IDs), s.cfg.Limits.MaxPerRequest)
	}
	name := retryName{r.Client, "fetch " + string(r.Master) + " " + joinIDs(r.IDs), r.Slave}
	policy, _ := s.Allowed(r.Master, r.Slave)
	if a := s.retried[name]; policy.Retry > 0 && a != nil && s.cfg.Now().Before(a.until) {
		return cloneKeys(a.keys), nil
	}
	list, err := s.due(&r)
	if err != nil {
		return nil, err
	}
	keys := s.take(&r, list)
	if policy.Retry > 0 {
		s.retried[name] = &retryAnswer{cloneKeys(keys), s.cfg.Now().Add(policy.Retry)}
	}
	return keys, nil
}

// due finds the keys asked for: all or none.
func (s *Supply) due(r *keymgmt.FetchRequest) (list []*issued, err error) {
	gone := qsc.E("supply.Fetch", qsc.NotFound, "", "at least one key is unknown, expired or already fetched: nothing was given out")
	foreign := false
	seen := map[qsc.KeyID]bool{}
	for _, id := range r.IDs {
		k := s.keys[id]
		if k != nil && !s.cfg.Now().Before(k.until) {
			delete(s.keys, id)
			clear(k.key)
			s.expired++
			k = nil
		}
		switch {
		case k == nil || seen[id]:
			return nil, gone
		case k.master != r.Master || !slices.Contains(k.named, r.Slave):
			foreign = true
		case !slices.Contains(k.slaves, r.Slave):
			return nil, gone
		case len(list) > 0 && len(k.key) != len(list[0].key):
			return nil, qsc.E("supply.Fetch", qsc.Invalid, "", "the keys are of different sizes: fetch each size by itself")
		}
		seen[id] = true
		list = append(list, k)
	}
	if foreign {
		return nil, qsc.E("supply.Fetch", qsc.Denied, "", "at least one key was not issued by %q to %q", r.Master, r.Slave)
	}
	return list, nil
}

func (s *Supply) take(r *keymgmt.FetchRequest, list []*issued) *keymgmt.Keys {
	k := &keymgmt.Keys{IDs: append([]qsc.KeyID(nil), r.IDs...), Size: len(list[0].key), Class: s.cfg.Class,
		Hops: s.cfg.Hops, Paths: 1, Need: 1, Disjoint: true}
	var b []byte
	for i, x := range list {
		b = append(b, x.key...)
		for j, a := range x.slaves {
			if a == r.Slave {
				x.slaves = append(x.slaves[:j:j], x.slaves[j+1:]...)
				break
			}
		}
		if len(x.slaves) == 0 {
			delete(s.keys, r.IDs[i])
			clear(x.key)
		}
	}
	k.Bytes = qsc.NewSecret(b)
	return k
}

// Random implements keymgmt.Supply.
func (s *Supply) Random(_ context.Context, dst []byte, want qsc.Class) (qsc.Class, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fail != nil:
		return 0, s.fail
	case want == qsc.ITS && s.random >= 0 && s.random < int64(len(dst)):
		return 0, qsc.E("supply.Random", qsc.Exhausted, "", "%d physical random bytes are left: bring more", s.random)
	case want == qsc.ITS && s.random >= 0:
		s.random -= int64(len(dst))
	}
	_, _ = s.r.Read(dst)
	return want & qsc.OSRandom, nil
}

// Limits implements keymgmt.Supply.
func (s *Supply) Limits() keymgmt.Limits { return s.cfg.Limits }

func joinIDs(ids []qsc.KeyID) string {
	var b strings.Builder
	for _, id := range ids {
		b.Write(id[:])
	}
	return b.String()
}

func cloneKeys(k *keymgmt.Keys) *keymgmt.Keys {
	c := *k
	c.IDs = append([]qsc.KeyID(nil), k.IDs...)
	c.Bytes = qsc.NewSecret(append([]byte(nil), k.Bytes.Expose()...))
	return &c
}
