package keys

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// patience bounds every wait for something that must come.
const patience = 2 * time.Minute

// nodes stand in a ring; b and e are joined by a chord, so that every two of them
// are joined by two disjoint paths and four pairs have no link.
var nodes = []qsc.NodeID{"a", "b", "c", "d", "e"}

const (
	simulated = "kind = \"simulated\"\nrate = \"60 Mbit/s\""
	couriered = "kind = \"preshared\""
)

func describe(kind string) string {
	var b strings.Builder
	b.WriteString("name = \"ring\"\n")
	for _, id := range nodes {
		fmt.Fprintf(&b, "[[site]]\nid = %q\n[[node]]\nid = %q\n", id, id)
	}
	for _, ends := range []string{"ab", "bc", "cd", "de", "ea", "be"} {
		fmt.Fprintf(&b, "[[link]]\nends = [%q, %q]\npad = \"4 MiB\"\nblock = \"64 KiB\"\n%s\n", ends[:1], ends[1:], kind)
	}
	return b.String()
}

// network is a ring of which every link passes a tap, with its applications.
type network struct {
	*fleettest.Network
	saes map[qsc.AppID]*sae
}

// prepare makes everything but the processes.
func prepare(t testing.TB, kind string) *network {
	file := filepath.Join(t.TempDir(), "ring.toml")
	if err := os.WriteFile(file, []byte(describe(kind)), 0o600); err != nil {
		t.Fatal(err)
	}
	n := &network{saes: map[qsc.AppID]*sae{}}
	n.Network = fleettest.OpenTapped(t, fleettest.Load(t, file), fleettest.Options{Patience: patience}, func(i int, c *node.Config) {
		id := string(c.Node)
		c.TLS = node.TLS{Cert: "tls/" + id + ".pem", Key: "tls/" + id + ".key", CA: "tls/ca.pem"}
		c.KME = node.KME{ETSI014: pick, ETSI004: pick, SAEs: "../" + fleet.SAEFile}
		if i < 2 && kind == simulated { // a controller spreads couriered key over a day
			c.Control = node.Control{Listen: pick, Cluster: pick, Store: "../control.db"}
		}
	})
	n.enrol()
	return n
}

// pick has the fleet choose a free port.
const pick = "127.0.0.1:0"

func open(t testing.TB, kind string) *network {
	n := prepare(t, kind)
	n.Start()
	return n
}

// enrol admits the applications and the pairs.
func (n *network) enrol() {
	n.T.Helper()
	for _, a := range homes {
		n.Edit(enrol.AddSAE(enrol.SAE{ID: a.id, Node: a.node}))
		n.saes[a.id] = newSAE(n.Certify(a.id, a.node))
	}
	for _, p := range pairs {
		n.Edit(enrol.AddPair(p))
	}
}
