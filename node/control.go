package node

import (
	"context"
	"crypto/tls"
	"net"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/manage"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi015"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/transport"
)

// openAgent opens the node's side of the control layer. It finds routes from now
// on, and follows a controller from openControl on.
func (n *Node) openAgent() error {
	fs, err := n.files("control")
	if err != nil {
		return err
	}
	n.agent, err = manage.OpenAgent(manage.AgentConfig{Node: n.cfg.Node, Network: n.net, Dir: fs, State: n.report, Log: n.log})
	n.guard = newGuard(n.cfg.Node, n.net, n.agent)
	return err
}

// openControl runs a controller where the configuration asks for one, and takes
// the agent to the bus.
func (n *Node) openControl(run context.Context) error {
	c := n.cfg.Control
	var bus *manage.Bus
	if c.Listen != "" || len(c.Buses) > 0 {
		cfg, err := n.tls()
		if err != nil {
			return err
		}
		if c.Listen != "" {
			if err := n.lead(run, cfg); err != nil {
				return err
			}
		}
		if bus, err = n.dial(cfg, c.Buses); err != nil {
			return err
		}
	}
	n.work.Go(func() {
		var b control.Bus // a nil *Bus would be no nil control.Bus
		if bus != nil {
			b = bus
		}
		if err := n.agent.Run(run, b); err != nil && run.Err() == nil {
			n.log.Error("the agent of the controller has ended", "err", err)
		}
	})
	return nil
}

// lead starts a controller with its bus.
func (n *Node) lead(run context.Context, cfg *tls.Config) error {
	c := n.cfg.Control
	broker, err := manage.StartBroker(manage.BrokerConfig{
		Name: string(n.cfg.Node), Listen: c.Listen, TLS: cfg, Log: n.log,
		Cluster: c.Cluster, Routes: c.Routes, Controllers: c.Controllers,
		Node: func(name string) bool { _, ok := n.net.Node(qsc.NodeID(name)); return ok },
	})
	if err != nil {
		return err
	}
	n.closer = append(n.closer, func() error { broker.Close(); return nil })
	store, err := n.openStore()
	if err != nil {
		return err
	}
	n.closer = append(n.closer, store.Close)
	n.store = store
	bus, err := manage.Dial(manage.BusConfig{Name: string(n.cfg.Node) + "-controller", Broker: broker, Log: n.log})
	if err != nil {
		return err
	}
	n.closer = append(n.closer, bus.Close)
	n.controller, err = manage.NewServer(manage.ServerConfig{
		Name: string(n.cfg.Node), Network: n.net, Store: store, Bus: bus, Log: n.log,
	})
	if err != nil {
		return err
	}
	n.work.Go(func() { _ = n.controller.Run(run) }) // ends with the node
	if c.ETSI015 == "" {
		return nil
	}
	north := etsi015.New(etsi015.Config{Network: n.net.Name, Version: Version, Allow: n.operator}, n.controller)
	door := sae.Config{Certificate: cfg.Certificates[0], ClientCAs: cfg.ClientCAs, Logger: n.log}
	return n.openDoor("etsi015", c.ETSI015, func(l net.Listener) (interface{ Close() error }, error) { return sae.Open(l, door, north) })
}

// operator says what a certificate may do at the northbound door: nodes read,
// an operator also installs paths, applications come in vain.
func (n *Node) operator(p *sae.Peer) (read, write bool) {
	name := p.Certificate.Subject.CommonName
	op := slices.Contains(n.cfg.Control.Operators, name)
	_, isNode := n.net.Node(qsc.NodeID(name))
	return op || isNode, op
}

func (n *Node) openStore() (*manage.Store, error) {
	switch at := n.cfg.Control.Store; {
	case at == "":
		return manage.OpenSQLite(n.dir("control.db"))
	case isURL(at):
		return manage.OpenPostgres(context.Background(), at)
	default:
		return manage.OpenSQLite(at)
	}
}

func (n *Node) dial(cfg *tls.Config, servers []string) (*manage.Bus, error) {
	if len(servers) == 0 {
		servers = []string{n.cfg.Control.Listen}
	}
	bus, err := manage.Dial(manage.BusConfig{Name: string(n.cfg.Node), Servers: servers, TLS: cfg, Controllers: n.cfg.Control.Controllers, Log: n.log})
	if err == nil {
		n.closer = append(n.closer, bus.Close)
	}
	return bus, err
}

// report is what this node has now.
func (n *Node) report() control.Report {
	up := map[qsc.LinkID]bool{}
	for _, s := range n.linkStates() {
		up[s.Link] = s.Up
	}
	r := control.Report{Node: n.cfg.Node}
	for _, e := range n.links {
		st := e.ledger.Status()
		send, recv := st.Lanes[keymgmt.SendData(e.end)], st.Lanes[keymgmt.RecvData(e.end)]
		r.Links = append(r.Links, control.LinkState{
			Link: e.link.ID, Up: up[e.link.ID], Send: send.Left, Recv: recv.Left, Size: send.Capacity,
			Rate: st.Source.Rate, QBER: st.Source.QBER, Kind: st.Source.Kind, Class: st.Class.Weakest(st.Source.Class),
			Halted: st.Source.Alarm != "" && e.link.Physical(),
		})
	}
	for _, f := range n.supply.Flows() {
		r.Demands = append(r.Demands, control.Demand{From: n.cfg.Node, To: f.To, Protection: f.Protection, Min: f.Min, Max: f.Max, Priority: f.Priority, TTL: f.TTL})
	}
	return r
}

// linkStates are the states of the channels, none before they are open.
func (n *Node) linkStates() []transport.LinkStatus {
	if n.endpoint == nil {
		return nil
	}
	return n.endpoint.Status()
}

// publish brings the controllers' store up to what the file of applications says,
// so that the northbound door shows it. The file decides; the store follows.
func (n *Node) publish(ctx context.Context, s *enrol.Snapshot) error {
	if n.store == nil {
		return nil
	}
	known := map[qsc.AppID]bool{}
	for _, a := range s.SAEs() {
		known[a.ID] = true
		if err := n.store.PutApplication(ctx, manage.Application{App: a.ID, Node: a.Node}); err != nil {
			return err
		}
	}
	old, err := n.store.Applications(ctx)
	if err != nil {
		return err
	}
	for _, a := range old {
		if known[a.App] {
			continue
		}
		if err := n.store.DropApplication(ctx, a.App); err != nil && !qsc.IsKind(err, qsc.NotFound) { // the other controller was faster
			return err
		}
	}
	return n.publishPairs(ctx, s, known)
}

// publishPairs does the same for pairs. Those for whole groups of applications
// (a star in the file) are no pairs of the model.
func (n *Node) publishPairs(ctx context.Context, s *enrol.Snapshot, known map[qsc.AppID]bool) error {
	wanted := map[[2]qsc.AppID]keymgmt.Policy{}
	for _, p := range s.Pairs() {
		if !known[p.Master] || !known[p.Slave] {
			continue
		}
		wanted[[2]qsc.AppID{p.Master, p.Slave}] = p.Policy
		if p.BothWays {
			wanted[[2]qsc.AppID{p.Slave, p.Master}] = p.Policy
		}
	}
	old, err := n.store.Pairs(ctx)
	if err != nil {
		return err
	}
	for _, p := range old {
		if _, ok := wanted[[2]qsc.AppID{p.Master, p.Slave}]; ok {
			continue
		}
		if err := n.store.DropPair(ctx, p.Master, p.Slave); err != nil && !qsc.IsKind(err, qsc.NotFound) {
			return err
		}
	}
	for pair, policy := range wanted {
		if err := n.store.PutPair(ctx, manage.Pair{Master: pair[0], Slave: pair[1], Policy: policy}); err != nil {
			return err
		}
	}
	return nil
}
