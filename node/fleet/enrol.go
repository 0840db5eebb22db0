package fleet

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/node"
)

// firstSAEs is the file of applications of a network that has none yet.
const firstSAEs = `# The applications (SAEs) of this network and who may share key with whom.
# "qsc sae add" writes here; nodes read it again when it changes.
`

// enrol makes what the doors need: the network's CA, a certificate for every
// node, and a file of applications. What is there is kept.
func (f *Fleet) enrol(net *node.Network, configs map[qsc.NodeID]node.Config) error {
	saes := filepath.Join(f.dir, SAEFile)
	if _, err := os.Stat(saes); errors.Is(err, fs.ErrNotExist) {
		if err := replaceFile(saes, []byte(firstSAEs)); err != nil {
			return err
		}
	}
	ca, err := enrol.InitCA(filepath.Join(f.dir, CADir), net.Name, false)
	if qsc.IsKind(err, qsc.Exists) {
		ca, err = enrol.OpenCA(filepath.Join(f.dir, CADir))
	}
	if err != nil {
		return err
	}
	trusted, err := os.ReadFile(ca.CertFile())
	if err != nil {
		return qsc.E("fleet.Open", qsc.Corrupt, "", "the CA's certificate: %w", err)
	}
	for _, n := range net.Nodes {
		c := configs[n.ID]
		if c.TLS.Cert != certFile(n.ID) { // certified by somebody else
			continue
		}
		dir := filepath.Join(f.nodeDir(n.Data), tlsDir)
		if _, err := os.Stat(filepath.Join(dir, filepath.Base(c.TLS.Cert))); err == nil {
			continue
		}
		if _, err := ca.Node(n.ID, enrol.Options{Out: dir, Renew: true}); err != nil {
			return err
		}
		if err := replaceFile(filepath.Join(dir, caFile), trusted); err != nil {
			return err
		}
	}
	return nil
}

// Names of a node's certificate in its directory.
const (
	tlsDir = "tls"
	caFile = "ca.pem"
)

func certFile(id qsc.NodeID) string { return tlsDir + "/" + string(id) + ".pem" }
func keyFile(id qsc.NodeID) string  { return tlsDir + "/" + string(id) + ".key" }

// ConfigFile is the configuration of the node whose directory is given.
func ConfigFile(nodeDir string) string { return filepath.Join(nodeDir, nodeFile) }
