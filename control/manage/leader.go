package manage

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
)

// recordsEvery is how often a leader looks for what was changed through another
// controller's door.
const recordsEvery = 5 * time.Second

// elect keeps the lease, or tries to get it, until ctx ends.
func (s *Server) elect(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Lease / 4)
	defer tick.Stop()
	for {
		s.term(ctx, s.elector)
		select {
		case <-ctx.Done():
			return qsc.E("manage.Run", qsc.Timeout, s.cfg.Name, "%w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// term takes one step of the election and does what follows from it. A store
// that hangs costs a third of the lease at most.
func (s *Server) term(ctx context.Context, e *elector) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Lease/3)
	defer cancel()
	err := e.step(ctx)
	if err == nil {
		err = s.catchUp(ctx, e)
	}
	s.mu.Lock()
	old := s.lead
	s.lead, s.until, s.status.Fault = e.epoch, e.until, ""
	if err != nil {
		s.status.Fault = err.Error()
		s.warn("lease", err)
	}
	switch {
	case e.epoch == 0:
		s.core = nil
	case old != e.epoch && s.core == nil:
		s.begin(e.epoch)
	case old != e.epoch:
		s.core.SetEpoch(e.epoch)
	}
	unsettled := s.core != nil && !s.core.settled
	s.mu.Unlock()
	if unsettled {
		if err := s.cfg.Bus.hello(ctx, e.epoch); err != nil {
			s.warn("hello", err)
		}
	}
	if e.epoch != 0 && (old == 0 || s.now()-s.recordsAt() > recordsEvery) {
		if err := s.Reload(ctx); err != nil {
			s.warn("records", err)
		}
	}
}

// catchUp raises the epoch above what most nodes know: the store was set back.
func (s *Server) catchUp(ctx context.Context, e *elector) error {
	s.mu.Lock()
	var ahead uint64
	if s.core != nil {
		ahead = s.core.Ahead()
	}
	s.mu.Unlock()
	if ahead <= e.epoch || e.epoch == 0 {
		return nil
	}
	return e.raise(ctx, ahead)
}

// begin starts a term: a core that knows nothing yet. mu is held.
func (s *Server) begin(epoch uint64) {
	cfg := s.cfg.Core
	cfg.Network, cfg.Epoch = s.cfg.Network, epoch
	core, err := NewCore(cfg)
	if err != nil { // NewServer has checked the network
		s.status.Fault = err.Error()
		return
	}
	core.SetPins(s.pins)
	s.core = core
	if s.cfg.Log != nil {
		s.cfg.Log.Info("leading", "epoch", epoch)
	}
}

// resign gives the lease back, so that another need not wait.
func (s *Server) resign() error {
	s.mu.Lock()
	s.lead, s.until, s.core = 0, 0, nil
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Lease/3)
	defer cancel()
	err := s.elector.release(ctx)
	if qsc.IsKind(err, qsc.Conflict) {
		return nil
	}
	return err
}

func (s *Server) recordsAt() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events.readAt
}

// Reload reads the operator's records from the store now; otherwise they are
// read every few seconds. Errors: of the store.
func (s *Server) Reload(ctx context.Context) error {
	hops, err := s.cfg.Store.Hops(ctx)
	if err != nil {
		return err
	}
	apps, err := s.cfg.Store.Applications(ctx)
	if err != nil {
		return err
	}
	pairs, err := s.cfg.Store.Pairs(ctx)
	if err != nil {
		return err
	}
	pins, faults := Assemble(s.cfg.Network, hops)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events.read {
		s.events.compare(s.pairs, pairs, homes(apps))
	}
	s.hops, s.apps, s.pairs, s.pins, s.faults = hops, apps, pairs, pins, faults
	s.events.read, s.events.readAt = true, s.now()
	if s.core != nil {
		s.core.SetPins(pins)
		s.hurry()
	}
	return nil
}

func homes(apps []Application) map[qsc.AppID]qsc.NodeID {
	m := make(map[qsc.AppID]qsc.NodeID, len(apps))
	for _, a := range apps {
		m[a.App] = a.Node
	}
	return m
}

// compare makes events of what changed among pairs.
func (l *events) compare(was, now []Pair, homes map[qsc.AppID]qsc.NodeID) {
	old := make(map[[2]qsc.AppID]Pair, len(was))
	for _, p := range was {
		old[[2]qsc.AppID{p.Master, p.Slave}] = p
	}
	event := func(kind control.EventKind, p Pair) {
		l.add(control.Event{Kind: kind, Node: homes[p.Master], Peer: homes[p.Slave], App: [2]qsc.AppID{p.Master, p.Slave}})
	}
	for _, p := range now {
		id := [2]qsc.AppID{p.Master, p.Slave}
		o, known := old[id]
		delete(old, id)
		switch {
		case !known:
			event(control.EventAppNew, p)
		case o.Policy != p.Policy:
			event(control.EventAppChanged, p)
		}
	}
	for _, p := range was {
		if _, gone := old[[2]qsc.AppID{p.Master, p.Slave}]; gone {
			event(control.EventAppGone, p)
		}
	}
}
