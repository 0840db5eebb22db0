package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc/node"
)

// completeTime bounds how long a shell waits for its completions.
const completeTime = 2 * time.Second

// mostCompletions is how many objects are offered.
const mostCompletions = 200

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completions sets those of the global flags.
func (a *app) completions(root *cobra.Command) {
	_ = root.RegisterFlagCompletionFunc("network", networkNames)
	_ = root.MarkPersistentFlagDirname("data")
}

func networkNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return node.Builtins(), cobra.ShellCompDirectiveDefault // files too
}

// fromNetwork offers ids of the network in use.
func (a *app) fromNetwork(ids func(*node.Network) []string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		net, err := a.describe("")
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return ids(net), cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) completeNodes(c *cobra.Command, flag string) {
	_ = c.RegisterFlagCompletionFunc(flag, a.fromNetwork(nodeIDs))
}

func nodeIDs(n *node.Network) []string {
	var ids []string
	for _, d := range n.Nodes {
		ids = append(ids, string(d.ID))
	}
	return ids
}

func (a *app) completePolicies(c *cobra.Command, flag string) {
	_ = c.RegisterFlagCompletionFunc(flag, a.fromNetwork(func(n *node.Network) []string {
		return (&place{net: n}).policies()
	}))
}

func linkIDs(n *node.Network) []string {
	var ids []string
	for _, l := range n.Links {
		ids = append(ids, string(l.ID))
	}
	return ids
}

// completeObjects offers the names of stored objects.
func (a *app) completeObjects(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completeTime)
	defer cancel()
	p, err := a.find()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, h := range p.homes() {
		client, err := p.client(h)
		if err != nil {
			continue
		}
		l, err := client.List(ctx, typed, "", mostCompletions)
		if err != nil {
			continue
		}
		for _, o := range l.Objects {
			if !strings.ContainsAny(o.Name, "\t\n") {
				names = append(names, o.Name)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
