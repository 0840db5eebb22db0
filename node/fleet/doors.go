package fleet

import (
	"path/filepath"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/node"
)

// Names in a network's data directory.
const (
	SAEFile = "saes.toml" // the applications and who may share key with whom
	CADir   = "ca"        // the private CA of the network
	storeDB = "control.db"
)

// operator is the name of the certificate that may install paths northbound.
const operator = "operator"

// controllers is how many nodes of a network run a controller: one leads, the
// others take over.
const controllers = 2

// configure gives every node a configuration with its doors: addresses that are
// free now, the file of applications, and the controllers, which are at the first
// nodes of the description. What is there is kept, but for a picked port that
// somebody else has taken since. It returns what the nodes' files hold.
func (f *Fleet) configure(net *node.Network, p *picker) (map[qsc.NodeID]node.Config, error) {
	all := map[qsc.NodeID]*node.Config{}
	for i, n := range net.Nodes {
		path := filepath.Join(f.nodeDir(n.Data), nodeFile)
		c, err := node.ReadConfig(path)
		if err != nil && !qsc.IsKind(err, qsc.NotFound) {
			return nil, err
		}
		if err != nil {
			if c, err = f.fresh(n.ID, n.Data, i < controllers); err != nil {
				return nil, err
			}
		}
		all[n.ID] = &c
	}
	p.moved = false
	for _, n := range net.Nodes {
		p.settleDoors(all[n.ID])
	}
	p.settleChannels(net, all)
	if p.moved {
		introduce(net, all)
	}
	out := map[qsc.NodeID]node.Config{}
	for id, c := range all {
		out[id] = *c
	}
	return out, p.err
}

func (f *Fleet) nodeDir(data string) string { return filepath.Join(f.dir, filepath.FromSlash(data)) }

// fresh is the configuration of a node that has none. An address with port 0 is
// one to be picked.
func (f *Fleet) fresh(id qsc.NodeID, data string, leads bool) (node.Config, error) {
	up, err := filepath.Rel(f.nodeDir(data), f.dir)
	if err != nil {
		return node.Config{}, qsc.E("fleet.Open", qsc.Invalid, string(id), "%w", err)
	}
	c := node.Config{
		Node: id, Network: filepath.Join(up, NetworkFile), Dir: ".",
		TLS: node.TLS{Cert: certFile(id), Key: keyFile(id), CA: tlsDir + "/" + caFile},
		KME: node.KME{ETSI014: toPick, ETSI004: toPick, SKIP: toPick, SAEs: filepath.Join(up, SAEFile)},
	}
	if leads {
		c.Control = node.Control{Listen: toPick, Cluster: toPick, ETSI015: toPick, Operators: []string{operator}, Store: filepath.Join(up, storeDB)}
	}
	return c, nil
}

// introduce tells every node where the controllers are, and these of each other.
func introduce(net *node.Network, all map[qsc.NodeID]*node.Config) {
	var buses, names, clusters []string
	for _, n := range net.Nodes {
		if c := all[n.ID].Control; c.Listen != "" {
			buses, names, clusters = append(buses, c.Listen), append(names, string(n.ID)), append(clusters, c.Cluster)
		}
	}
	for _, c := range all {
		c.Control.Buses, c.Control.Controllers, c.Control.Routes = buses, names, nil
		for _, a := range clusters {
			if a != c.Control.Cluster && c.Control.Cluster != "" {
				c.Control.Routes = append(c.Control.Routes, a)
			}
		}
	}
}
