package tunneltest

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
)

// Keys gives fresh random keys to a leader and, once each, their copies to the
// follower, as two nodes of a network do.
type Keys struct {
	mu    sync.Mutex
	keys  map[qsc.KeyID][]byte
	Size  int  // bytes; 0: 32
	Wrong bool // the follower gets other bytes under the same ID
	Fail  error
	Drawn int
}

// Next implements tunnel.MasterSource.
func (s *Keys) Next(context.Context) (id qsc.KeyID, k qsc.Secret, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Fail != nil {
		return id, k, s.Fail
	}
	n := s.Size
	if n == 0 {
		n = 32
	}
	b := make([]byte, n)
	_, _ = rand.Read(b)
	_, _ = rand.Read(id[:])
	if s.keys == nil {
		s.keys = map[qsc.KeyID][]byte{}
	}
	s.keys[id] = bytes.Clone(b)
	s.Drawn++
	return id, qsc.NewSecret(b), nil
}

// ByID implements tunnel.SlaveSource.
func (s *Keys) ByID(_ context.Context, id qsc.KeyID) (qsc.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.keys[id]
	if !ok {
		return qsc.Secret{}, qsc.E("tunneltest.ByID", qsc.NotFound, "", "one or more keys specified are not found on KME")
	}
	delete(s.keys, id)
	if s.Wrong {
		b[0] ^= 1
	}
	return qsc.NewSecret(b), nil
}
