package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/preshared"
	"github.com/quantum-secure-cloud/qsc/quantum/simulated"
)

// What lies in a node's directory, below links/NAME:
//
//	ledger/    the rings, table and marks of package ledger
//	stock/     couriered key of package preshared
//	seed.json  of package simulated
//	device/    what package device/etsi014 remembers of the vendor's keys
//	distill/   what package distill keeps: masks, numbers, records
const (
	linksDir  = "links"
	ledgerDir = "ledger"
	stockDir  = "stock"
	seedName  = "seed.json"
	deviceDir = "device"

	distillDir = "distill"
)

func linkDir(id qsc.LinkID, part string) string { return filepath.Join(linksDir, string(id), part) }

// openSource opens what makes a link's key.
func (n *Node) openSource(e *linkEnd) (quantum.Link, error) {
	if e.link.Physical() {
		return n.openQuantum(e)
	}
	switch e.link.Kind {
	case topology.KindPreshared:
		d, err := n.files(linkDir(e.link.ID, stockDir))
		if err != nil {
			return nil, err
		}
		return preshared.Open(preshared.Config{FS: d, Link: e.link.ID, Block: e.link.Block})
	case topology.KindSimulated:
		seed, err := n.seed(e)
		if err != nil {
			return nil, err
		}
		return simulated.Open(simulated.Config{Link: e.link.ID, Seed: seed, Rate: e.link.Rate, Block: e.link.Block})
	case topology.KindDevice:
		return n.openDevice(e)
	}
	return nil, qsc.E("node.Open", qsc.Unsupported, string(e.link.ID), "links of kind %s cannot be run yet", e.link.Kind)
}

// seed reads what both ends of a simulated link share.
func (n *Node) seed(e *linkEnd) (simulated.Seed, error) {
	b, err := os.ReadFile(n.dir(linkDir(e.link.ID, seedName)))
	if errors.Is(err, fs.ErrNotExist) {
		return simulated.Seed{}, qsc.E("node.Open", qsc.NotFound, string(e.link.ID), "the simulated link has no seed: start the network with qsc up, which writes it at both ends")
	}
	if err != nil {
		return simulated.Seed{}, qsc.E("node.Open", qsc.Corrupt, string(e.link.ID), "%w", err)
	}
	return simulated.ParseSeed(b)
}
