package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/bench"
	"github.com/quantum-secure-cloud/qsc/node"
)

// benchCmd is qsc bench.
func (a *app) benchCmd() *cobra.Command {
	c := &cobra.Command{
		Use: "bench", Short: "measure this machine, each figure beside a yardstick of the same run", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.benchKernels(), a.benchPut(), a.benchKeys(), a.benchDistill(), a.benchPlan())
	return c
}

func (a *app) benchKernels() *cobra.Command {
	return &cobra.Command{
		Use: "kernels", Short: "splitting, combining and tagging on one core, beside memcpy", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			rows, err := bench.Kernels()
			if err != nil {
				return err
			}
			return bench.Write(a.out, rows, a.json)
		},
	}
}

func (a *app) benchKeys() *cobra.Command {
	opt := bench.KeysOptions{}
	c := &cobra.Command{
		Use: "keys", Short: "keys drawn and fetched by each protocol, relays and routes, beside bare TLS", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			opt.Progress = a.noting
			rows, err := bench.Keys(c.Context(), opt)
			if err != nil {
				return err
			}
			return bench.Write(a.out, rows, a.json)
		},
	}
	c.Flags().DurationVar(&opt.Duration, "duration", 2*time.Second, "of each taking")
	c.Flags().IntVar(&opt.Runs, "runs", 3, "takings of each figure, of which the median counts")
	c.Flags().StringVar(&opt.Dir, "dir", "", "scratch directory (default: the system's temporary one)")
	return c
}

// noting tells people what is measured now.
func (a *app) noting(text string) {
	if !a.quiet && !a.json {
		fmt.Fprintln(a.err, text)
	}
}

func (a *app) benchDistill() *cobra.Command {
	opt := bench.DistillOptions{Progress: a.noting}
	var bob, channel string
	c := &cobra.Command{
		Use: "distill", Short: "key distilled by a pair of processes, its stages, and a simulated link, beside XOR", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if bob != "" {
				return bench.DistillBob(c.Context(), bob, channel)
			}
			rows, err := bench.Distill(c.Context(), opt)
			if err != nil {
				return err
			}
			return bench.Write(a.out, rows, a.json)
		},
	}
	f := c.Flags()
	f.IntVar(&opt.Rounds, "rounds", 12, "that the pair distils, of 2^27 sifted bits each")
	f.IntVar(&opt.Runs, "runs", 3, "takings of the other figures, of which the median counts")
	f.StringVar(&opt.Dir, "dir", "", "scratch directory (default: the system's temporary one)")
	f.StringVar(&bob, "bob", "", "be the other process of the pair, in this directory")
	f.StringVar(&channel, "channel", "", "where the first process listens")
	_ = f.MarkHidden("bob")
	_ = f.MarkHidden("channel")
	return c
}

func (a *app) benchPlan() *cobra.Command {
	runs := 5
	c := &cobra.Command{
		Use: "plan", Short: "a plan of a hundred nodes and ten thousand terminals, beside a small one", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			rows, err := bench.Plan(c.Context(), runs)
			if err != nil {
				return err
			}
			return bench.Write(a.out, rows, a.json)
		},
	}
	c.Flags().IntVar(&runs, "runs", runs, "plans, of which the median counts")
	return c
}

func (a *app) benchPut() *cobra.Command {
	opt := bench.PutOptions{}
	size := "1GiB"
	c := &cobra.Command{
		Use: "put", Short: "whole puts and gets over three site processes, beside cp and fsync", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if opt.Size, err = node.ParseSize(size); err != nil {
				return err
			}
			opt.Progress = a.noting
			rows, err := bench.Put(c.Context(), opt)
			if err != nil {
				return err
			}
			return bench.Write(a.out, rows, a.json)
		},
	}
	c.Flags().StringVar(&size, "size", size, "of the file")
	c.Flags().IntVar(&opt.Runs, "runs", 1, "puts and gets, of which the median counts")
	c.Flags().StringVar(&opt.Dir, "dir", "", "scratch directory (default: the system's temporary one)")
	return c
}
