package ledger

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// staged is a source that lets a test choose what happens next at some moments.
type staged struct {
	*keymgmttest.Stock
	live  bool // an empty stock waits
	mu    sync.Mutex
	next  func() // Next is called
	empty func() // Next has found nothing that is wanted and does not say so yet
	asked func() // Status: a Reserve has found no key and does not wait yet
}

// on chooses what happens at one moment, once.
func (s *staged) on(moment *func(), f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*moment = f
}

func (s *staged) call(moment *func()) {
	s.mu.Lock()
	f := *moment
	*moment = nil
	s.mu.Unlock()
	if f != nil {
		f()
	}
}

func (s *staged) Status() quantum.Status {
	s.call(&s.asked)
	return s.Stock.Status()
}

func (s *staged) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	s.call(&s.next)
	for {
		k, err := s.Stock.Next(ctx, want)
		if !qsc.IsKind(err, qsc.Exhausted) {
			return k, err
		}
		if !s.live {
			s.call(&s.empty)
			return k, err
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// eventually waits for a state of the ledger's memory.
func (l *Ledger) eventually(t *testing.T, state func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		l.mu.Lock()
		ok := state()
		l.mu.Unlock()
		if ok {
			return
		}
	}
	t.Error("the ledger never came there")
}

func openStaged(t *testing.T, s *staged, change func(c *Config)) *Ledger {
	t.Helper()
	c := testConfig(durable.Mem(1<<22), s.Stock)
	c.Source = s
	change(&c)
	l, err := Open(c)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

func reserveAll(t *testing.T, l *Ledger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	n := int(keymgmt.PadSize(testBlock))
	pad, err := l.Reserve(ctx, keymgmt.Data, n, n)
	must(t, err)
	must(t, pad.Burn())
}

// Key that comes between a Reserve's look and its wait is neither slept through
// nor denied.
func TestKeyComesBeforeTheWait(t *testing.T) {
	for name, live := range map[string]bool{"live": true, "stock": false} {
		t.Run(name, func(t *testing.T) {
			s := &staged{Stock: &keymgmttest.Stock{Link: "x", Block: testBlock}, live: live}
			l := openStaged(t, s, func(*Config) {})
			s.on(&s.asked, func() {
				s.Add(keymgmt.SeqOf(keymgmt.DataAB, 0))
				l.eventually(t, func() bool { return l.lanes[0].account.produced > 0 && (live || l.dry) })
			})
			reserveAll(t, l)
		})
	}
}

// What a source had nothing for is forgotten when a slot comes free meanwhile.
func TestSlotComesFreeWhileTheSourceIsAsked(t *testing.T) {
	s := &staged{Stock: &keymgmttest.Stock{Link: "x", Block: testBlock}}
	for i := range uint64(3) {
		s.Add(keymgmt.SeqOf(keymgmt.DataAB, i))
	}
	l := openStaged(t, s, func(c *Config) { c.Pad = 2 * testBlock })
	l.eventually(t, func() bool { return l.dry }) // both slots are taken
	looked, said := make(chan struct{}), make(chan struct{})
	s.on(&s.empty, func() {
		close(looked)
		l.eventually(t, func() bool { return l.freed > 0 })
		s.on(&s.next, func() { // it has said so
			close(said)
			l.eventually(t, func() bool { return l.waiters > 0 })
		})
	})
	<-looked
	reserveAll(t, l)
	reserveAll(t, l)
	s.on(&s.asked, func() { <-said })
	reserveAll(t, l)
}
