package tunnels

import (
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/tunneltest"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// patience bounds every wait for something that must come.
const patience = 2 * time.Minute

// relay is the only node between the two applications'.
const relay = qsc.NodeID("otemachi")

// network is tokyo, running, with two applications. Its processes are those of
// `qsc up`, but for a supervisor that starts nothing anew unasked.
type network struct {
	*fleettest.Network
	qsc  string
	saes [2]sae // alice at koganei, bob at hongo
}

// sae is what `qsc sae add --json` prints of an application.
type sae struct {
	ID       string `json:"id"`
	CertFile string `json:"cert_file"`
	KeyFile  string `json:"key_file"`
	CA       string `json:"ca_file"`
	KME      string `json:"etsi014"`
}

func open(t testing.TB) *network {
	t.Helper()
	exe, err := program()
	if err != nil {
		t.Fatal(err)
	}
	n := &network{Network: fleettest.Open(t, fleettest.Load(t, "tokyo-simulated"), fleettest.Options{Exe: exe, Patience: patience}), qsc: exe}
	n.Start()
	n.run(&n.saes[0], "sae", "add", "alice", "--node", "koganei")
	n.run(&n.saes[1], "sae", "add", "bob", "--node", "hongo", "--with", "alice")
	n.known()
	return n
}

// run runs qsc on the network and reads the JSON it answers.
func (n *network) run(into any, args ...string) {
	n.T.Helper()
	out, err := exec.Command(n.qsc, append(args, "--json", "--data", n.Fleet.Dir())...).Output()
	if err != nil {
		n.T.Fatalf("qsc %v: %v: %s", args, err, stderr(err))
	}
	if err := json.Unmarshal(out, into); err != nil {
		n.T.Fatalf("qsc %v answers %q: %v", args, out, err)
	}
}

func stderr(err error) string {
	if e, ok := err.(*exec.ExitError); ok {
		return string(e.Stderr)
	}
	return ""
}

// known waits until both nodes have read of the two applications, and key is
// there for them.
func (n *network) known() {
	n.T.Helper()
	for i := range n.saes {
		c := n.client(i)
		tunneltest.Await(n.T, "key for "+n.saes[i].ID, patience, func() bool {
			s, err := c.Status(n.T.Context(), n.saes[1-i].ID)
			return err == nil && (i > 0 || s.Stored > 0)
		})
		c.Close()
	}
}

// client calls an application's node as that application.
func (n *network) client(i int) *etsi014.Client {
	n.T.Helper()
	a := n.saes[i]
	conf, err := enrol.LoadTLS(a.CertFile, a.KeyFile, a.CA)
	if err != nil {
		n.T.Fatal(err)
	}
	c, err := etsi014.NewClient(etsi014.ClientConfig{URL: a.KME, TLS: conf})
	if err != nil {
		n.T.Fatal(err)
	}
	return c
}

// dry takes all key that alice's node still has for the two applications.
func (n *network) dry() {
	n.T.Helper()
	c := n.client(0)
	defer c.Close()
	for size := 64; size > 0; {
		k, err := c.EncKeys(n.T.Context(), n.saes[1].ID, etsi014.KeyRequest{Number: size, Size: 256})
		switch {
		case err == nil:
			k.Bytes.Zeroise()
		case qsc.IsKind(err, qsc.Exhausted):
			size /= 8
		default:
			n.T.Fatal(err)
		}
	}
}
