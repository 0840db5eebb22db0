package supply

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt/pool"
)

// randomState holds the health tests of the two sources.
type randomState struct {
	mu       sync.Mutex
	physical *pool.Health
	system   *pool.Health
}

func (r *randomState) init() { r.physical, r.system = pool.NewHealth(), pool.NewHealth() }

// Random implements keymgmt.Supply. Physical randomness is spent only when want
// is qsc.ITS; all else comes from the operating system's generator. Besides the
// errors of the contract: Corrupt when the source fails its health tests; it is
// not asked again until the next start.
func (s *Supply) Random(_ context.Context, dst []byte, want qsc.Class) (qsc.Class, error) {
	if want&qsc.OSRandom != 0 {
		return s.system(dst)
	}
	return s.physical(dst)
}

func (s *Supply) system(dst []byte) (qsc.Class, error) {
	if _, err := rand.Read(dst); err != nil {
		return 0, qsc.E("supply.Random", qsc.Other, string(s.cfg.Node), "the operating system gives no random bytes: %w", err)
	}
	return qsc.OSRandom, s.tested(s.random.system, dst, "the operating system's generator")
}

func (s *Supply) physical(dst []byte) (qsc.Class, error) {
	p := s.cfg.Physical
	if p == nil {
		return 0, qsc.E("supply.Random", qsc.Exhausted, string(s.cfg.Node), "this node has no physical random bytes: bring some (qsc pool provision)")
	}
	class := p.Class()
	if class&qsc.OSRandom != 0 {
		return 0, qsc.E("supply.Random", qsc.Exhausted, string(s.cfg.Node), "the pool holds bytes of class %v, not physical ones", class)
	}
	if err := p.Fill(dst); err != nil {
		clear(dst)
		return 0, qsc.E("supply.Random", qsc.KindOf(err), string(s.cfg.Node), "%w", err)
	}
	return class | p.Class(), s.tested(s.random.physical, dst, "the pool of physical random bytes")
}

// tested passes bytes through a source's health tests and wipes them when the
// source has failed.
func (s *Supply) tested(h *pool.Health, b []byte, source string) error {
	s.random.mu.Lock()
	before := h.Err()
	err := h.Check(b)
	s.random.mu.Unlock()
	if err == nil {
		return nil
	}
	clear(b)
	if before == nil {
		s.mu.Lock()
		s.alarm("%s fails its health tests and is not used any more: %v", source, err)
		s.mu.Unlock()
	}
	return err
}

// local fills b with key for two applications at this node: physical bytes while
// there are any.
func (s *Supply) local(b []byte) (qsc.Class, error) {
	if class, err := s.physical(b); err == nil {
		return class, nil
	}
	return s.system(b)
}
