package tunnel_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/tunneltest"
)

// Only the SAE that is named may lead or follow.
func TestIdentities(t *testing.T) {
	certs := tunneltest.Certificates(t, "sae-a", "sae-b", "sae-c")
	foreign := tunneltest.Certificates(t, "sae-a", "sae-b")
	for _, c := range []struct {
		name     string
		client   *tls.Config
		server   *tls.Config
		callsFor qsc.AppID
		ok       bool
	}{
		{"as configured", certs["sae-a"], certs["sae-b"], "sae-b", true},
		{"another leader", certs["sae-c"], certs["sae-b"], "sae-b", false},
		{"another follower", certs["sae-a"], certs["sae-c"], "sae-b", false},
		{"a leader of another CA", foreign["sae-a"], certs["sae-b"], "sae-b", false},
		{"a follower of another CA", certs["sae-a"], foreign["sae-b"], "sae-b", false},
		{"no peer named", certs["sae-a"], certs["sae-b"], "", false},
		{"no certificate", &tls.Config{RootCAs: certs["sae-a"].RootCAs}, certs["sae-b"], "sae-b", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := 400 * time.Millisecond // a refused leader tries again
			if c.ok {
				limit = time.Minute
			}
			if got := connects(t, c.client, c.server, c.callsFor, limit); got != c.ok {
				t.Errorf("served: %t, want %t", got, c.ok)
			}
		})
	}
}

// connects reports whether a rotation succeeds.
func connects(t *testing.T, client, server *tls.Config, peer qsc.AppID, limit time.Duration) bool {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	keys := &tunneltest.Keys{}
	f := &tunnel.Follower{Tunnel: "t", Keys: keys, End: &box{}}
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = f.Serve(ctx, tunnel.Listen(ln, server, "sae-a")) })
	defer serving.Wait()
	defer cancel()
	short, stop := context.WithTimeout(ctx, limit)
	defer stop()
	l := &tunnel.Leader{Tunnel: "t", Keys: keys, End: &box{}, Dial: tunnel.Dialer(ln.Addr().String(), client, peer)}
	return l.Rotate(short) == nil
}

// oneConn is a listener that yields one connection.
type oneConn struct {
	c    chan net.Conn
	done chan struct{}
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.c:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }

// A stranger who says nothing is shown out after five seconds.
func TestSilentStranger(t *testing.T) {
	certs := tunneltest.Certificates(t, "sae-b")
	synctest.Test(t, func(t *testing.T) {
		ln := &oneConn{c: make(chan net.Conn, 1), done: make(chan struct{})}
		mine, theirs := net.Pipe()
		ln.c <- theirs
		f := &tunnel.Follower{Tunnel: "t", Keys: &tunneltest.Keys{}, End: &box{}}
		ctx, cancel := context.WithCancel(t.Context())
		var serving sync.WaitGroup
		serving.Go(func() { _ = f.Serve(ctx, tunnel.Listen(ln, certs["sae-b"], "sae-a")) })
		start := time.Now()
		_, err := mine.Read(make([]byte, 1))
		if took := time.Since(start); err == nil || took < 4*time.Second || took > 11*time.Second {
			t.Errorf("shown out after %v, %v", took, err)
		}
		cancel()
		serving.Wait()
	})
}
