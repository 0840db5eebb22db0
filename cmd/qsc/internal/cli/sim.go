package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/sim"
)

// simCmd is qsc sim.
func (a *app) simCmd() *cobra.Command {
	var days float64
	var seed uint64
	var calm bool
	c := &cobra.Command{
		Use: "sim", Short: "live days of a network in virtual time, with faults",
		Long: "Sim runs every node of a network, its controller and its applications in one process\n" +
			"from one seed: links are cut, nodes crash, controllers die. It tells how keys were\n" +
			"supplied, and counts violations: a key or a stretch of link key that served twice, two\n" +
			"ends that disagree, or books that do not close. With violations it exits with 1.",
		Example: "  qsc sim --network backbone-1000 --days 7\n  qsc sim --network tokyo --days 30 --seed 7 --json",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.sim(c.Context(), days, seed, calm) },
	}
	f := c.Flags()
	f.Float64Var(&days, "days", 1, "virtual days")
	f.Uint64Var(&seed, "seed", 1, "of everything that is drawn")
	f.BoolVar(&calm, "no-faults", false, "cut no link and crash nothing")
	return c
}

func (a *app) sim(ctx context.Context, days float64, seed uint64, calm bool) error {
	if days <= 0 || days > 3650 {
		return usage{fmt.Errorf("--days: %v is not between 0 and 3650", days)}
	}
	name := first(a.network, defaultNetwork)
	cfg, err := sim.Load(name)
	if err != nil {
		return err
	}
	cfg.Days, cfg.Seed = days, seed
	if !calm {
		cfg.Faults = sim.DefaultFaults()
	}
	bar := newFilling(ctx, a.bars(), "simulating "+cfg.Network.Name)
	cfg.Progress = func(done, total time.Duration) { bar.report(int64(done), int64(total)) }
	rep, err := sim.Run(ctx, cfg)
	bar.stop()
	if err != nil {
		return err
	}
	if err := a.simulated(rep); err != nil {
		return err
	}
	if rep.Violations > 0 {
		return fmt.Errorf("%d violations in the simulation: run it again with --seed %d and report it", rep.Violations, rep.Seed)
	}
	return nil
}

func (a *app) simulated(r sim.Report) error {
	if a.json {
		return a.answer(r)
	}
	t := &show.Table{}
	row := func(name, format string, args ...any) { t.Row(name, fmt.Sprintf(format, args...)) }
	row("network", "%s: %d nodes, %d links, %d applications in %d pairs", r.Network, r.Nodes, r.Links, r.Apps, r.Pairs)
	row("lived", "%g days from seed %d, in %.1f s", r.Days, r.Seed, r.Seconds)
	row("supply", "%d keys issued (%v in all), %d fetched, %d expired", r.Issued, r.Delivered, r.Fetched, r.Expired)
	row("requests", "%d, %.3f %% served at once, %d refused", r.Requests, 100*r.AtOnce, r.Refused)
	row("waiting time", "median %.3g s, 99 %% within %.3g s, longest %.3g s", r.Wait50, r.Wait99, r.WaitMax)
	row("relay", "%d rounds over %.1f hops, %.1f %% on disjoint paths, %d failed, %d paths lost unnoticed or with them", r.Rounds, r.Hops, 100*r.Disjoint, r.Failed, r.LostPaths)
	row("link key", "%s used, %s burnt (%.4f %%), %s left", show.Bytes(r.Used), show.Bytes(r.Burnt), 100*r.BurntPart, show.Bytes(r.Left))
	row("keys burnt", "%d", r.KeysBurnt)
	row("faults", "%d links cut, %d nodes crashed, %d controllers taken over", r.Cuts, r.Crashes, r.Takeovers)
	row("re-routes", "%d flows, 99 %% within %.3g s of the cut", r.Reroutes, r.Reroute99)
	row("memory", "%s", show.Bytes(int64(r.Memory)))
	row("violations", "%d", r.Violations)
	if err := t.Write(a.out, ""); err != nil {
		return err
	}
	for _, v := range r.Examples {
		fmt.Fprintln(a.out, "  "+v)
	}
	return nil
}
