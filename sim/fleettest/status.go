package fleettest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

// Client calls a node's administrator's door.
func (n *Network) Client(id qsc.NodeID) *admin.Client { return admin.NewClient(n.Fleet.NodeDir(id)) }

// Status is what a node that runs tells of itself.
func (n *Network) Status(id qsc.NodeID) admin.Status {
	n.T.Helper()
	s, err := n.Client(id).Status(n.T.Context())
	if err != nil {
		n.T.Fatal(id, err)
	}
	return s
}

// Until waits for something, looking every few milliseconds, and returns how long
// it took.
func (n *Network) Until(what string, ok func() bool) time.Duration {
	n.T.Helper()
	return n.Since(time.Now(), n.opt.Patience, what, ok)
}

// Since waits until something has come within a time from begin on, and returns how
// long it took from then.
func (n *Network) Since(begin time.Time, limit time.Duration, what string, ok func() bool) time.Duration {
	n.T.Helper()
	tick := time.NewTicker(n.opt.Look)
	defer tick.Stop()
	for !ok() {
		if time.Since(begin) > limit {
			n.T.Fatalf("%s: never came in %v%s", what, limit, n.Tell())
		}
		<-tick.C
	}
	return time.Since(begin)
}

// Linked opens the taps of all nodes that run and waits until every link between
// two of them is, at both ends, what Options say.
func (n *Network) Linked() {
	n.T.Helper()
	for _, d := range n.Net.Nodes { // a kill may have shut the taps of what was started just then
		if n.Fleet.PID(d.ID) != 0 {
			if err := n.unshut(d.ID); err != nil {
				n.T.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(n.T.Context(), n.opt.Patience)
	defer cancel()
	if bad := n.Fleet.Await(ctx, n.opt.Linked); len(bad) > 0 {
		text := n.Tell()
		n.Dump()
		n.T.Fatalf("these links never came: %v%s", bad, text)
	}
}

// Dump has every node end with its stacks in its log, where the directory is kept.
func (n *Network) Dump() {
	for _, d := range n.Net.Nodes {
		if pid := n.Fleet.PID(d.ID); pid != 0 && os.Getenv("QSC_KEEP") != "" {
			_ = syscall.Kill(pid, syscall.SIGQUIT)
		}
	}
}

// Tell sums up what the nodes say, for failure texts.
func (n *Network) Tell() string {
	var b strings.Builder
	for _, d := range n.Net.Nodes {
		s, err := n.Client(d.ID).Status(context.Background())
		if err != nil {
			fmt.Fprintf(&b, "\n%s: %v", d.ID, err)
			continue
		}
		for _, l := range s.Links {
			fmt.Fprintf(&b, "\n%s %s", d.ID, Line(l))
		}
		fmt.Fprintf(&b, "\n%s keys %+v control %+v alarms %q", d.ID, s.Keys, s.Control, s.Alarms)
	}
	return b.String()
}

// Line sums up what an end tells of its link.
func Line(l admin.Link) string {
	return fmt.Sprintf("%s up %t %q rate %v error rate %.4f stock %d send %+v receive %+v slots %d/%d alarm %q",
		l.ID, l.Up, l.Why, l.Rate, l.QBER, l.Stock, l.Send, l.Recv, l.SendSlots.Left, l.RecvSlots.Left, l.Alarm)
}
