package fleettest

import (
	"crypto/tls"
	"path/filepath"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// SAE is an application with what it needs to draw key.
type SAE struct {
	ID       qsc.AppID
	Node     qsc.NodeID
	ETSI014  string // the address of its node's door
	ETSI004  string
	CertFile string
	KeyFile  string
	CAFile   string

	n *Network
}

// Edit changes the network's file of applications and pairs.
func (n *Network) Edit(changes ...func([]byte) ([]byte, error)) {
	n.T.Helper()
	for _, change := range changes {
		if _, err := enrol.Edit(filepath.Join(n.Fleet.Dir(), fleet.SAEFile), change); err != nil {
			n.T.Fatal(err)
		}
	}
}

// Admit enrols two applications that draw key both ways, as "qsc sae add" does. Their
// nodes know them a little later.
func (n *Network) Admit(master, slave qsc.AppID, from, to qsc.NodeID, p keymgmt.Policy) (a, b *SAE) {
	n.T.Helper()
	n.Edit(enrol.AddSAE(enrol.SAE{ID: master, Node: from}),
		enrol.AddSAE(enrol.SAE{ID: slave, Node: to}, enrol.Pair{Master: master, Slave: slave, BothWays: true, Policy: p}))
	return n.Certify(master, from), n.Certify(slave, to)
}

// Certify gives an application of a node its certificate.
func (n *Network) Certify(id qsc.AppID, at qsc.NodeID) *SAE {
	n.T.Helper()
	c, err := node.ReadConfig(fleet.ConfigFile(n.Fleet.NodeDir(at)))
	if err != nil {
		n.T.Fatal(err)
	}
	ca := n.CA()
	issued, err := ca.SAE(id, enrol.Options{Out: filepath.Join(n.Dir, "sae")})
	if err != nil {
		n.T.Fatal(err)
	}
	return &SAE{ID: id, Node: at, ETSI014: c.KME.ETSI014, ETSI004: c.KME.ETSI004,
		CertFile: issued.CertFile, KeyFile: issued.KeyFile, CAFile: ca.CertFile(), n: n}
}

// TLS is the application's side of its connections.
func (s *SAE) TLS() *tls.Config {
	s.n.T.Helper()
	conf, err := enrol.LoadTLS(s.CertFile, s.KeyFile, s.CAFile)
	if err != nil {
		s.n.T.Fatal(err)
	}
	return conf
}

// URL is where the application's node serves key.
func (s *SAE) URL() string { return "https://" + s.ETSI014 }

// Client is a new one of the application's own node, closed when the test is over. A
// call that takes longer than limit fails.
func (s *SAE) Client(limit time.Duration) *etsi014.Client {
	s.n.T.Helper()
	c, err := etsi014.NewClient(etsi014.ClientConfig{URL: s.URL(), TLS: s.TLS(), Timeout: limit})
	if err != nil {
		s.n.T.Fatal(err)
	}
	s.n.T.Cleanup(c.Close)
	return c
}
