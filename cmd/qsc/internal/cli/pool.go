package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/node"
)

type poolOptions struct{ at, from, size string }

// poolCmd is qsc pool.
func (a *app) poolCmd() *cobra.Command {
	var o poolOptions
	c := &cobra.Command{
		Use: "provision --from FILE", Short: "bring physical random bytes to a node",
		Long: "Provision adds a file of physical random bytes, as from a quantum random generator, to\n" +
			"a node's pool, also while the node runs. A policy with randomness = \"pool\" draws the\n" +
			"coefficients of secret sharing from it; what is stored under it keeps the class its.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.fillPool(c.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "", "a file of physical random bytes; it is used once and never again")
	f.StringVar(&o.size, "size", "", "bytes to take, such as \"64 MiB\" (default: the whole file)")
	f.StringVar(&o.at, "at", "", "the node (default: the default policy's home)")
	_ = c.MarkFlagRequired("from") // the flag is there
	a.completeNodes(c, "at")
	return group("pool", "work on a node's pool of random bytes", c)
}

func (a *app) fillPool(ctx context.Context, o poolOptions) (err error) {
	opt := node.BringOptions{From: o.from}
	if o.size != "" {
		if opt.Size, err = node.ParseSize(o.size); err != nil || opt.Size <= 0 {
			return usage{fmt.Errorf("--size: %s is no size such as \"64 MiB\"", quoteArg(o.size))}
		}
	}
	p, err := a.find()
	if err != nil {
		return err
	}
	id := qsc.NodeID(o.at)
	if pol, ok := p.net.Policy(""); id == "" && ok {
		id = pol.Home
	}
	fill := newFilling(ctx, a.bars(), "random for "+string(id))
	defer fill.stop()
	opt.Progress = fill.report
	n, err := node.BringRandom(ctx, p.net, p.dir, id, opt)
	fill.stop()
	if err != nil {
		return fate(ctx, err, "nothing was added")
	}
	if a.json {
		return a.answer(map[string]any{"node": id, "bytes": n})
	}
	a.tell("%s of physical random brought to the pool of %s", show.Bytes(n), id)
	return nil
}
