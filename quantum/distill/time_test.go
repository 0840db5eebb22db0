package distill

import (
	"context"
	"crypto/rand"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// An end that has nothing to say tells so once a second; one that tells nothing for ten
// seconds is gone.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		k := newConn(here, new(atomic.Uint64))
		defer k.close()
		begin := time.Now()
		var every time.Duration
		var other sync.WaitGroup
		other.Go(func() { // listens, and says nothing
			for n := 0; ; n++ {
				if _, _, err := readFrame(there, func(n int) []byte { return make([]byte, n) }); err != nil {
					every = time.Since(begin) / time.Duration(max(n, 1))
					return
				}
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3*silence)
		defer cancel()
		_, err := k.Receive(ctx, typeBegin, 100)
		if took := time.Since(begin); !qsc.IsKind(err, qsc.Unreachable) || took != silence {
			t.Errorf("after %v: %v", took, err)
		}
		k.close()
		if other.Wait(); every < beat || every > 2*beat {
			t.Errorf("a sign of life every %v", every)
		}
	})
}

// pipes is a listener in memory.
type pipes struct {
	calls chan net.Conn
	done  context.Context
	stop  context.CancelFunc
}

func (p pipes) dial(context.Context) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case p.calls <- a:
		return b, nil
	case <-p.done.Done():
		return nil, net.ErrClosed
	}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.calls:
		return c, nil
	case <-p.done.Done():
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { p.stop(); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// endless is a reconciler that comes to no end.
type endless struct{}

func (endless) Reconcile(ctx context.Context, w Wire, _ Role, _ Bits, _ float64) (Corrected, error) {
	_, err := w.Receive(ctx, TypeReconcile, 0)
	return Corrected{}, err
}

// An end that lives and does not go on holds a round up for so long and no longer.
func TestStagesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dirs := [2]durable.FS{durable.Mem(1 << 20), durable.Mem(1 << 20)}
		if err := Found(dirs, rand.Reader); err != nil {
			t.Fatal(err)
		}
		p := pipes{calls: make(chan net.Conn)}
		p.done, p.stop = context.WithCancel(context.Background())
		var links [2]*Link
		for role := Alice; role <= Bob; role++ {
			s, err := NewStream(StreamConfig{Role: role, Block: 1000})
			if err != nil {
				t.Fatal(err)
			}
			l, err := Open(Config{Role: role, Block: 512, FS: dirs[role], Protocol: s, Reconciler: endless{}, Listen: p, Dial: p.dial})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			links[role] = l
		}
		time.Sleep(stages - time.Second)
		for _, l := range links {
			if n := l.Aborts(); len(n) > 0 {
				t.Errorf("given up before %v: %v", stages, n)
			}
		}
		time.Sleep(2 * time.Second)
		for _, l := range links {
			if n := l.Aborts()[qsc.Timeout.String()]; n == 0 {
				t.Errorf("not given up after %v: %v", stages, l.Aborts())
			}
		}
	})
}
