package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/progress"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

func (a *app) upCmd() *cobra.Command {
	return &cobra.Command{
		Use: "up", Short: "run a network on this machine until Ctrl-C",
		Long: "Up runs every node of a network as a process of its own and starts anew what crashes.\n" +
			"The first time it makes the data directory and fills the links that are couriered;\n" +
			"later it takes the network from there. Ctrl-C ends the nodes in order.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.up(c.Context()) },
	}
}

// linkTime bounds how long up waits for the links before it says that the network
// is up without them.
const linkTime = 10 * time.Second

// plan chooses the network and the data directory of `qsc up`. A nil network
// means the one that is in the directory.
func (a *app) plan() (*node.Network, string, error) {
	dir := first(a.data, os.Getenv("QSC_DATA"))
	if dir != "" && a.network == "" {
		if _, err := os.Stat(filepath.Join(dir, fleet.NetworkFile)); err == nil {
			return nil, dir, nil
		}
	}
	net, err := node.LoadNetwork(first(a.network, os.Getenv("QSC_NETWORK"), defaultNetwork))
	if err != nil {
		return nil, "", err
	}
	if dir == "" {
		home, err := dataHome()
		if err != nil {
			return nil, "", err
		}
		dir = filepath.Join(home, net.Name)
	}
	return net, dir, nil
}

// ready is what up tells programs once the network runs.
type ready struct {
	Network string             `json:"network"`
	Data    string             `json:"data"`
	Nodes   map[qsc.NodeID]int `json:"nodes"` // process numbers
	Down    []qsc.LinkID       `json:"links_down"`
	Seconds float64            `json:"seconds"`
}

func (a *app) up(ctx context.Context) error {
	net, dir, err := a.plan()
	if err != nil {
		return err
	}
	start := time.Now()
	f, err := a.openFleet(ctx, net, dir)
	if err != nil {
		return fate(ctx, err, "no node is running; the data directory is kept")
	}
	forget := note(f.Dir())
	defer forget()
	if err := f.Start(ctx); err != nil {
		_ = f.Close()
		return fate(ctx, err, "no node is running; the data directory is kept")
	}
	bounded, cancel := context.WithTimeout(ctx, linkTime)
	bad := f.Await(bounded, func(l admin.Link) bool { return l.Up })
	cancel()
	err = a.running(f, bad, time.Since(start))
	if err == nil {
		<-ctx.Done()
		a.tell("\nstopping %s", show.Plural(len(f.Network().Nodes), "node"))
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// openFleet opens a network with a bar while its links are first filled.
func (a *app) openFleet(ctx context.Context, net *node.Network, dir string) (*fleet.Fleet, error) {
	fill := newFilling(ctx, a.bars(), "filling the links")
	defer fill.stop()
	return fleet.Open(ctx, net, dir, fleet.Options{Restart: true, Log: a.logger(), Progress: fill.report})
}

// logger writes what a person at the terminal should know.
func (a *app) logger() *slog.Logger {
	if a.quiet {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.err, nil))
}

func (a *app) running(f *fleet.Fleet, bad []qsc.LinkID, took time.Duration) error {
	net := f.Network()
	pids := map[qsc.NodeID]int{}
	for _, n := range net.Nodes {
		pids[n.ID] = f.PID(n.ID)
	}
	if a.json {
		return a.answer(ready{net.Name, f.Dir(), pids, append([]qsc.LinkID{}, bad...), took.Seconds()})
	}
	if a.quiet {
		return nil
	}
	t := show.NewTable("NODE", "SITE", "ADDRESS", "PID")
	for _, n := range net.Nodes {
		t.Row(string(n.ID), string(n.Site), n.Listen, fmt.Sprint(pids[n.ID]))
	}
	if err := t.Write(a.out, ""); err != nil {
		return err
	}
	if len(bad) > 0 {
		fmt.Fprintf(a.err, "qsc: warning: not connected yet: %v; qsc status tells why\n", bad)
	}
	_, err := fmt.Fprintf(a.out, "network %s is up after %s; data in %s\nqsc put FILE, qsc ls and qsc status work in any other terminal now; Ctrl-C ends the network\n",
		net.Name, show.Duration(took), f.Dir())
	return err
}

// tell writes a line for people.
func (a *app) tell(format string, args ...any) {
	if !a.quiet && !a.json {
		fmt.Fprintf(a.out, format+"\n", args...)
	}
}

// filling draws a bar for work that reports how far it is.
type filling struct {
	ctx   context.Context
	draw  bool
	label string
	bar   *progress.Bar
}

func newFilling(ctx context.Context, draw bool, label string) *filling {
	return &filling{ctx: ctx, draw: draw, label: label}
}

func (f *filling) report(done, total int64) {
	if f.bar == nil {
		f.bar = progress.Start(f.ctx, f.draw, f.label, total, nil)
	}
	f.bar.Set(done)
}

func (f *filling) stop() {
	if f.bar != nil {
		f.bar.Stop()
	}
}
