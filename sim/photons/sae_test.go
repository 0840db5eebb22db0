package photons

import (
	"crypto/tls"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// sae is an application with what it needs to draw key.
type sae struct {
	id     qsc.AppID
	client *etsi014.Client
}

// admit enrols two applications as "qsc sae add" does.
func (n *network) admit(master, slave qsc.AppID, from, to qsc.NodeID) (a, b *sae) {
	n.t.Helper()
	file := filepath.Join(n.fleet.Dir(), fleet.SAEFile)
	pair := enrol.Pair{Master: master, Slave: slave, BothWays: true, Policy: keymgmt.Policy{}}
	for _, add := range []func([]byte) ([]byte, error){
		enrol.AddSAE(enrol.SAE{ID: master, Node: from}),
		enrol.AddSAE(enrol.SAE{ID: slave, Node: to}, pair),
	} {
		if _, err := enrol.Edit(file, add); err != nil {
			n.t.Fatal(err)
		}
	}
	return n.certify(master, from), n.certify(slave, to)
}

// certify gives an application its certificate and a client.
func (n *network) certify(id qsc.AppID, at qsc.NodeID) *sae {
	n.t.Helper()
	c, err := node.ReadConfig(fleet.ConfigFile(n.fleet.NodeDir(at)))
	if err != nil {
		n.t.Fatal(err)
	}
	issued, err := n.ca.SAE(id, enrol.Options{Out: n.t.TempDir()})
	if err != nil {
		n.t.Fatal(err)
	}
	var conf *tls.Config
	if conf, err = enrol.LoadTLS(issued.CertFile, issued.KeyFile, n.ca.CertFile()); err != nil {
		n.t.Fatal(err)
	}
	s := &sae{id: id}
	if s.client, err = etsi014.NewClient(etsi014.ClientConfig{URL: "https://" + c.KME.ETSI014, TLS: conf}); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(s.client.Close)
	return s
}

// hops is what a KME says of the way that keys took.
func hops(t *testing.T, extension []byte) int {
	t.Helper()
	var s struct {
		Hops int `json:"qsc_hops"`
	}
	if err := json.Unmarshal(extension, &s); err != nil {
		t.Error("key_container_extension:", err)
	}
	return s.Hops
}
