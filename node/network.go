package node

import (
	"path/filepath"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// The network description, for programs that start nodes and may not import
// rooms of other floors. See package topology.
type (
	Network = topology.Network
	Link    = topology.Link
	Policy  = topology.Policy
)

// The built-in networks and the units of their files. See package topology.
var (
	LoadNetwork   = topology.Load
	Builtins      = topology.Builtins
	NetworkSource = topology.Source
	ParseSize     = topology.ParseSize
	FormatSize    = topology.FormatSize
	ParseRate     = topology.ParseRate
	ParseDistance = topology.ParseDistance
)

// dirOf is the directory of a node below the network's data directory.
func dirOf(net *Network, data string, id qsc.NodeID) string {
	n, ok := net.Node(id)
	if !ok {
		return ""
	}
	return filepath.Join(data, filepath.FromSlash(n.Data))
}

// Dir returns the directory of a node below the network's data directory.
func Dir(net *Network, data string, id qsc.NodeID) (string, error) {
	d := dirOf(net, data, id)
	if d == "" {
		return "", qsc.E("node.Dir", qsc.NotFound, string(id), "the network description has no such node")
	}
	return d, nil
}
