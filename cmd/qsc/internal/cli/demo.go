package cli

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/demo"
)

func (a *app) demoCmd() *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use: "demo [FILE]", Short: "put a whole network to the test with one file",
		Long: "Demo opens a fresh network of node processes on this machine, stores FILE (by default\n" +
			"this program's own executable) as shares, kills a site, gets the file back, compares\n" +
			"it bit for bit, kills one site more and shows that the restore refuses. The network\n" +
			"lies in a temporary directory (below --data if given) and is gone afterwards.",
		Args: args(0, 1),
		RunE: func(c *cobra.Command, given []string) error {
			return a.demo(c.Context(), strings.Join(given, ""), keep)
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "leave the network and its data for play")
	return c
}

func (a *app) demo(ctx context.Context, file string, keep bool) error {
	opt := demo.Options{
		Network: first(a.network, os.Getenv("QSC_NETWORK"), defaultNetwork),
		File:    file, Parent: a.data, Keep: keep, Say: a.out, Bars: a.bars(),
	}
	if a.json || a.quiet {
		opt.Say = io.Discard
	}
	res, err := demo.Run(ctx, opt)
	if err != nil {
		return fate(ctx, err, "no process and no data are left")
	}
	if a.json {
		return a.answer(res)
	}
	return nil
}
