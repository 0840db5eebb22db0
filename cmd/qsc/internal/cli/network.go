package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/node"
)

var errNoConfig = errors.New("--config FILE is required; see qsc node --help")

func (a *app) networkCmd() *cobra.Command {
	check := &cobra.Command{
		Use: "check FILE", Short: "list every fault of a network description", Args: args(1, 1),
		RunE: func(_ *cobra.Command, given []string) error { return a.check(given[0]) },
	}
	var source bool
	see := &cobra.Command{
		Use: "show [FILE]", Short: "show a network and its links", Args: args(0, 1), ValidArgsFunction: networkNames,
		RunE: func(_ *cobra.Command, given []string) error { return a.showNetwork(strings.Join(given, ""), source) },
	}
	see.Flags().BoolVar(&source, "source", false, "write the description itself, to be copied and changed")
	return group("network", "check and show network descriptions", check, see)
}

// checked is the answer of `qsc network check --json`.
type checked struct {
	Valid    bool   `json:"valid"`
	Runnable bool   `json:"runnable"`
	Why      string `json:"why,omitempty"` // when not runnable
	Name     string `json:"name"`
	Sites    int    `json:"sites"`
	Nodes    int    `json:"nodes"`
	Links    int    `json:"links"`
	Policies int    `json:"policies"`
}

// check prints the faults one to a line, as compilers do.
func (a *app) check(file string) error {
	net, err := node.LoadNetwork(file)
	if err != nil {
		return faults(err)
	}
	c := checked{Valid: true, Runnable: true, Name: net.Name, Sites: len(net.Sites), Nodes: len(net.Nodes), Links: len(net.Links), Policies: len(net.Policies)}
	if err := net.Runnable(); err != nil {
		c.Runnable, c.Why = false, plain(err)
	}
	if err := devices(net); err != nil {
		return err
	}
	if a.json {
		return a.answer(c)
	}
	a.tell("%s is valid: network %s with %s, %s, %s, %d policies", file, c.Name, show.Plural(c.Sites, "site"), show.Plural(c.Nodes, "node"), show.Plural(c.Links, "link"), c.Policies)
	if !c.Runnable {
		a.tell("it cannot be run yet: %s", c.Why)
	}
	return nil
}

// devices reports every link whose device pair does not fit.
func devices(net *node.Network) error {
	var all []error
	for _, l := range net.Links {
		if !l.Physical() || l.Preset == "" {
			continue
		}
		if _, err := node.Predict(net, l); err != nil {
			all = append(all, qsc.E("", qsc.KindOf(err), "", "link %s: %s", l.ID, plain(err)))
		}
	}
	return errors.Join(all...)
}

// lines is an error whose lines are kept apart.
type lines struct{ error }

func (l lines) Unwrap() error { return l.error }

// faults keeps the lines of a description's faults apart.
func faults(err error) error {
	if !qsc.IsKind(err, qsc.Invalid) {
		return err
	}
	return lines{err}
}

func (a *app) showNetwork(file string, source bool) error {
	net, err := a.describe(file)
	if err != nil {
		return faults(err)
	}
	if a.json {
		return a.answer(net)
	}
	if source {
		text := node.NetworkSource(first(file, a.network, defaultNetwork))
		if text == nil || file == "" && a.network == "" && a.data != "" {
			text = net.Marshal()
		}
		_, err := a.out.Write(text)
		return err
	}
	return a.draw(net)
}

// describe takes the network that is named or, without, the one in use.
func (a *app) describe(file string) (*node.Network, error) {
	if file = first(file, a.network); file != "" {
		return node.LoadNetwork(file)
	}
	p, err := a.find()
	if qsc.IsKind(err, qsc.NotFound) && a.data == "" && os.Getenv("QSC_DATA") == "" {
		return node.LoadNetwork(first(os.Getenv("QSC_NETWORK"), defaultNetwork))
	}
	if err != nil {
		return nil, err
	}
	return p.net, nil
}

func (a *app) draw(net *node.Network) error {
	fmt.Fprintf(a.out, "%s: %s\n\n", net.Name, first(net.Title, "a network"))
	nodes := show.NewTable("NODE", "SITE", "WHERE", "ADDRESS")
	for _, n := range net.Nodes {
		s, _ := net.Site(n.Site)
		nodes.Row(string(n.ID), string(n.Site), s.Title, n.Listen)
	}
	links := show.NewTable("LINK", "KIND", "ENDS", "DISTANCE", "RATE", "PAD EACH WAY")
	for _, l := range net.Links {
		rate := ""
		if l.Rate > 0 {
			rate = l.Rate.String()
		}
		distance := ""
		if l.Distance > 0 {
			distance = fmt.Sprintf("%g km", l.Distance)
		}
		links.Row(string(l.ID), l.Kind, fmt.Sprintf("%s, %s", l.Ends[0], l.Ends[1]), distance, rate, show.Bytes(l.Pad))
	}
	policies := show.NewTable("POLICY", "SHARES", "WRITE QUORUM", "HOME", "SITES", "RANDOMNESS")
	for _, p := range net.Policies {
		var sites []string
		for _, s := range p.Sites {
			sites = append(sites, string(s))
		}
		policies.Row(p.ID, fmt.Sprintf("%d of %d", p.K, p.N), fmt.Sprint(p.W), string(p.Home), strings.Join(sites, ", "), p.Randomness)
	}
	for i, t := range []*show.Table{nodes, links, policies} {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		if err := t.Write(a.out, ""); err != nil {
			return err
		}
	}
	return nil
}
