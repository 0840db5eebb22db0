package keys

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// retryWindow is the policy of the pair that may ask again.
const retryWindow = 3 * time.Second

// homes are the applications. Mallory is admitted like the others, lives beside
// bob, and may share key with alice as bob may: what it asks for of bob's is
// refused by the keys themselves, not by the directory.
var homes = []struct {
	id   qsc.AppID
	node qsc.NodeID
}{{"alice", "a"}, {"frank", "a"}, {"carol", "b"}, {"bob", "c"}, {"mallory", "c"}, {"dave", "d"}, {"grace", "d"}, {"erin", "e"}}

var pairs = []enrol.Pair{
	pair("alice", "bob", 1, 0), pair("alice", "mallory", 1, 0), pair("carol", "dave", 2, 0), pair("alice", "dave", 1, 0),
	pair("erin", "dave", 1, 0), pair("frank", "grace", 1, retryWindow), pair("frank", "alice", 1, 0), pair("carol", "mallory", 2, 0),
}

func pair(a, b qsc.AppID, paths int, retry time.Duration) enrol.Pair {
	return enrol.Pair{Master: a, Slave: b, BothWays: true, Policy: keymgmt.Policy{Protection: keymgmt.Protection{Paths: paths, Need: paths}, Retry: retry}}
}

// flow is a master that draws key for its slaves.
type flow struct {
	master qsc.AppID
	slaves []qsc.AppID
	retry  bool // its pair has a window
}

func (f flow) String() string { return fmt.Sprintf("%s to %v", f.master, f.slaves) }

// flows: both directions of pairs, so that masters race; several masters of one
// slave; several pairs on one pair of nodes; two slaves at once; one node.
var flows = []flow{
	{"alice", apps("bob"), false}, {"bob", apps("alice"), false},
	{"carol", apps("dave"), false}, {"dave", apps("carol"), false},
	{"alice", apps("dave"), false}, {"erin", apps("dave"), false},
	{"alice", apps("bob", "dave"), false},
	{"frank", apps("grace"), true}, {"grace", apps("frank"), true},
	{"frank", apps("alice"), false}, {"mallory", apps("alice"), false},
}

func apps(id ...qsc.AppID) []qsc.AppID { return id }

// sae is an application; all of its connections have one cache of TLS sessions.
type sae struct {
	*fleettest.SAE
	tls *tls.Config
}

func newSAE(s *fleettest.SAE) *sae {
	cfg := s.TLS()
	cfg.ServerName = "127.0.0.1"
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	return &sae{s, cfg}
}

// callTime bounds one call: a node that answers neither yes nor no for so long
// hangs.
const callTime = 30 * time.Second

// clientOf returns a client of an application's own node.
func (n *network) clientOf(id qsc.AppID) *etsi014.Client { return n.saes[id].Client(callTime) }

// shout sends a request and goes away: after nothing of the answer, or after some
// bytes of it. Whether the node acted on it nobody knows.
func (a *sae) shout(ctx context.Context, request []byte, read int) {
	d := tls.Dialer{Config: a.tls}
	c, err := d.DialContext(ctx, "tcp", a.ETSI014)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(callTime))
	if _, err := c.Write(request); err != nil || read == 0 {
		return
	}
	b := make([]byte, read)
	_, _ = c.Read(b)
	clear(b)
}

// post is the text of a request.
func post(peer qsc.AppID, method string, text []byte) []byte {
	return fmt.Appendf(nil, "POST /api/v1/keys/%s/%s HTTP/1.1\r\nHost: kme\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", peer, method, len(text), text)
}
