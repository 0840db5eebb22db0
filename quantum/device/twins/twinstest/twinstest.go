// Package twinstest is for tests of links over vendors' systems: where the master
// listens, and blocks as they are taken and compared. It is imported by tests only.
package twinstest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Door is an address that stays a test's own while masters at it are opened and closed:
// nobody else can take the port between two of them.
type Door struct {
	Address string

	mu  sync.Mutex
	now *listener // nil: nobody listens, and who calls is hung up on
}

// NewDoor opens a door for as long as the test runs.
func NewDoor(t testing.TB) *Door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &Door{Address: l.Addr().String()}
	var jobs sync.WaitGroup
	jobs.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.pass(c)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		d.replace(nil)
		jobs.Wait()
	})
	return d
}

// pass hands a connection to whoever listens.
func (d *Door) pass(c net.Conn) {
	d.mu.Lock()
	now := d.now
	d.mu.Unlock()
	if now != nil {
		select {
		case now.conns <- c:
			return
		case <-now.closed:
		}
	}
	_ = c.Close()
}

// Listen returns the door's listener, which takes the place of the one before.
func (d *Door) Listen() net.Listener {
	l := &listener{door: d, conns: make(chan net.Conn), closed: make(chan struct{})}
	d.replace(l)
	return l
}

func (d *Door) replace(l *listener) {
	d.mu.Lock()
	old := d.now
	d.now = l
	d.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
}

// listener is the door as one master sees it.
type listener struct {
	door   *Door
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The door stays.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// All wants every block.
func All(uint64) bool { return true }

// Next takes a block.
func Next(t testing.TB, l quantum.Link, want func(uint64) bool) quantum.KeyBlock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	b, err := l.Next(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Same fails the test unless both ends have the same block of that many bytes.
func Same(t testing.TB, a, b quantum.KeyBlock, bytes int) {
	t.Helper()
	if a.Seq != b.Seq || a.ID != b.ID || a.Class != b.Class || !a.ProducedAt.Equal(b.ProducedAt) || !a.Key.Equal(b.Key) || a.Key.Len() != bytes {
		t.Fatalf("the ends disagree on block %d", a.Seq)
	}
}

// Alarm waits until a link's alarm is as wanted.
func Alarm(t testing.TB, l quantum.Link, want func(text string) bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !want(l.Status().Alarm); {
		if time.Now().After(deadline) {
			t.Fatalf("alarm %q", l.Status().Alarm)
		}
		<-time.After(time.Millisecond)
	}
}
