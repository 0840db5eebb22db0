package sim

import (
	"time"

	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/manage"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Applications per network: ten a node, and on the national backbones ten
// thousand for every thousand nodes.
const appsPerNode = 10

// batchEvery is how often a pair asks for key, about: it then takes all that it
// needs until it asks again.
const batchEvery = 10 * time.Minute

// load is the part of what package topology's applications may want that they do
// want on an average day: the sum of all of it is more than the links make.
const load = 0.25

// Load makes the configuration of a run of a network, given by file or built-in
// name, with its controller and with the applications that package topology
// places on it. Errors as topology.Load, and Invalid for a network of one node.
func Load(network string) (Config, error) {
	net, err := topology.Load(network)
	if err != nil {
		return Config{}, err
	}
	if _, err := manage.NewCore(manage.CoreConfig{Network: net}); err != nil {
		return Config{}, err
	}
	cfg := Config{Network: net, Control: func(epoch uint64) control.Controller {
		c, _ := manage.NewCore(manage.CoreConfig{Network: net, Epoch: epoch, Patience: patience, Settle: time.Millisecond, Resend: reportEvery})
		return c
	}}
	apps, pairs, err := net.Applications(topology.ApplicationConfig{Count: appsPerNode * len(net.Nodes), Seed: 1})
	if err != nil {
		return Config{}, err
	}
	for _, p := range pairs {
		perDay := load * float64(p.Mean) * 24 * 3600 / (keyBytes * 8)
		q := Pair{
			Master: apps[p.Master].ID, Slave: apps[p.Slave].ID, From: apps[p.Master].Node, To: apps[p.Slave].Node,
			Protection: keymgmt.Protection{Paths: p.Paths, Need: p.Need}, Priority: p.Priority,
			KeysPerDay: perDay, Batch: min(maxBatch, max(1, int(perDay*batchEvery.Hours()/24))),
		}
		if q.From != q.To {
			cfg.Pairs = append(cfg.Pairs, q)
		}
	}
	return cfg, nil
}

// patience of a simulated controller: its nodes report seldom, and at once what
// matters.
const patience = 3 * reportEvery
