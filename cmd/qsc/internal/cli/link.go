package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/node"
)

func (a *app) linkCmd() *cobra.Command {
	var o provisionOptions
	c := &cobra.Command{
		Use: "provision LINK", Short: "put the same random blocks at both ends of a link",
		Long: "Provision is the courier with a disk: it writes the same random blocks for both ends of\n" +
			"a preshared link, which the nodes take up at once when they run. Pads that are made\n" +
			"by the operating system's generator are recorded as os-random; give a file of\n" +
			"physical random bytes with --from to keep the class its.",
		Args:              args(1, 1),
		ValidArgsFunction: a.fromNetwork(linkIDs),
		RunE:              func(c *cobra.Command, given []string) error { return a.provision(c.Context(), given[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.size, "size", "", "pad for each direction, such as \"64 MiB\" (default: as much as there is room for)")
	f.StringVar(&o.from, "from", "", "a file of physical random bytes; it is used once and never again")
	f.StringVar(&o.direction, "direction", "", "only pads from one end to the other: FROM-TO (default: both ways)")
	return group("link", "work on links", c, a.attackCmd(), a.recordsCmd())
}

// findLink finds the network that is meant and a link of it.
func (a *app) findLink(id string) (*place, node.Link, error) {
	p, err := a.find()
	if err != nil {
		return nil, node.Link{}, err
	}
	l, ok := p.net.Link(qsc.LinkID(id))
	if !ok {
		return nil, l, qsc.E("", qsc.NotFound, "", "the network %s has no link %s: qsc network show lists them", p.net.Name, quoteArg(id))
	}
	return p, l, nil
}

type provisionOptions struct{ size, from, direction string }

func (a *app) provision(ctx context.Context, id string, o provisionOptions) error {
	var size int64
	if o.size != "" {
		var err error
		if size, err = node.ParseSize(o.size); err != nil || size <= 0 {
			return usage{fmt.Errorf("--size: %s is no size such as \"64 MiB\"", quoteArg(o.size))}
		}
	}
	p, l, err := a.findLink(id)
	if err != nil {
		return err
	}
	fill := newFilling(ctx, a.bars(), "random for "+id)
	defer fill.stop()
	opt := node.ProvisionOptions{Size: size, From: o.from, Progress: fill.report}
	if opt.Direction, err = direction(l, o.direction); err != nil {
		return err
	}
	start := time.Now()
	rep, err := node.Provision(ctx, p.net, p.dir, l.ID, opt)
	fill.stop()
	if err != nil {
		return fate(ctx, err, "blocks that are whole at both ends are kept")
	}
	return a.provisioned(l, rep, time.Since(start))
}

// direction reads FROM-TO, the ids of a link's ends.
func direction(l node.Link, text string) (node.Direction, error) {
	a, b := string(l.Ends[0]), string(l.Ends[1])
	switch text {
	case "":
		return node.Both, nil
	case a + "-" + b:
		return node.AToB, nil
	case b + "-" + a:
		return node.BToA, nil
	}
	return 0, usage{fmt.Errorf("--direction: %s is none of link %s: say %s-%s or %s-%s", quoteArg(text), l.ID, a, b, b, a)}
}

func (a *app) provisioned(l node.Link, rep node.ProvisionReport, took time.Duration) error {
	if a.json {
		return a.answer(rep)
	}
	a.tell("link %s: %d blocks of %s, %s in all, lie at both %s and %s after %s; class %s",
		l.ID, rep.Blocks, show.Bytes(l.Block), show.Bytes(rep.Bytes), l.Ends[0], l.Ends[1], show.Duration(took), rep.Class)
	return nil
}
