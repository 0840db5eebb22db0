package measure

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/sim/plan"
)

// Plan reckons a generated network whose links are of the kinds that suit their
// distances, with a satellite over two of its nodes.
func Plan(ctx context.Context, nodes, terminals int) error {
	shape := topology.ShapeBackbone
	if nodes < 20 {
		shape = topology.ShapeMetro
	}
	net, err := topology.Generate(topology.GenerateConfig{Nodes: nodes - 1, Seed: 1, Shape: shape})
	if err != nil {
		return err
	}
	for i := range net.Links {
		net.Links[i].Rate = 0 // by physics, not by the generator's table
	}
	a, b := net.Nodes[0].ID, net.Nodes[len(net.Nodes)-1].ID
	net.Sites = append(net.Sites, topology.Site{ID: "orbit", Group: topology.GroupTrunk})
	net.Nodes = append(net.Nodes, topology.Node{ID: "satellite", Site: "orbit", Data: "satellite"})
	for _, station := range []qsc.NodeID{a, b} {
		net.Links = append(net.Links, topology.Link{
			ID: "satellite-" + qsc.LinkID(station), Kind: topology.KindSatellite, Ends: [2]qsc.NodeID{"satellite", station},
			Pad: topology.DefaultPad, Block: topology.DefaultBlock,
		})
	}
	if net, err = topology.Parse("bench", net.Marshal()); err != nil {
		return err
	}
	_, err = plan.Make(ctx, plan.Config{Network: net, Terminals: terminals})
	return err
}
