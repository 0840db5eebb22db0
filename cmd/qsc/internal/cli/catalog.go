package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
)

func (a *app) catalogCmd() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use: "rebuild", Short: "make a lost catalogue anew from what the sites hold",
		Long: "Rebuild asks every site for the sealed metadata of its shares; any k sites are enough.\nObjects that the catalogue knows already stay as they are.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.rebuild(c.Context(), at) },
	}
	c.Flags().StringVar(&at, "at", "", "the node whose catalogue is rebuilt (default: the default policy's home)")
	a.completeNodes(c, "at")
	return group("catalog", "work on a node's catalogue", c)
}

func (a *app) rebuild(ctx context.Context, at string) error {
	p, err := a.find()
	if err != nil {
		return err
	}
	client, err := p.reach(at, "")
	if err != nil {
		return err
	}
	n, err := client.Rebuild(ctx)
	if err != nil {
		return fate(ctx, err, "rebuild again: it goes on where it was")
	}
	if a.json {
		return a.answer(map[string]int{"objects": n})
	}
	a.tell("the catalogue holds %s found at the sites", show.Plural(n, "object"))
	return nil
}
