package tunneltest

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc/app/tunnel"
)

// Rig joins two ends over a control connection on the loopback interface, with
// TLS, and serves the follower until the test ends.
func Rig(t testing.TB, keys *Keys, lead, follow tunnel.End) (*tunnel.Leader, *tunnel.Follower) {
	t.Helper()
	certs := Certificates(t, "sae-a", "sae-b")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &tunnel.Follower{Tunnel: "test", Keys: keys, End: follow}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := f.Serve(ctx, tunnel.Listen(ln, certs["sae-b"], "sae-a")); err != nil {
			t.Errorf("follower: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); serving.Wait() })
	l := &tunnel.Leader{Tunnel: "test", Keys: keys, End: lead, Dial: tunnel.Dialer(ln.Addr().String(), certs["sae-a"], "sae-b")}
	return l, f
}
