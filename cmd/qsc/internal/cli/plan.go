package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/sim/plan"
)

// planOptions steer qsc plan.
type planOptions struct {
	terminals, paths, days int
	perPair, svg, from     string
	seed                   uint64
	presets                bool
}

func (a *app) planCmd() *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use: "plan [NETWORK]", Short: "what a network will yield, before it is built",
		Long: "Plan reckons a network from its description: the rate of every link by the physics of\n" +
			"its devices, what two nodes get of each other over relays and over disjoint paths,\n" +
			"whether that meets the demand of the terminals and how long the stocks last, what the\n" +
			"loss of any node or link costs, when satellites pass, and what to add where.",
		Example: "  qsc plan global --svg map.svg\n  qsc plan backbone-100 --terminals 10000 --json\n  qsc plan --presets",
		Args:    args(0, 1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return node.Builtins(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, given []string) error {
			if o.presets {
				return a.presets()
			}
			return a.reckon(c.Context(), first(append(given, a.network, defaultNetwork)...), o)
		},
	}
	f := c.Flags()
	f.IntVar(&o.terminals, "terminals", 0, "applications that want key (default: 100 for each node)")
	f.StringVar(&o.perPair, "demand", "", "what each pair of terminals wants, such as \"1 kbit/s\" (default: a mixture of uses)")
	f.IntVar(&o.paths, "paths", 3, "disjoint paths that an end-to-end secret takes")
	f.IntVar(&o.days, "days", 7, "length of the satellites' calendar")
	f.StringVar(&o.from, "from", "", "when the calendar begins, such as 2026-11-22 (default: now)")
	f.Uint64Var(&o.seed, "seed", 1, "of who talks to whom, and of the weather")
	f.StringVar(&o.svg, "svg", "", "draw a map and a plot of rate over distance into this file")
	f.BoolVar(&o.presets, "presets", false, "list the device pairs that a description may name")
	return c
}

func (o planOptions) config(net *node.Network) (c plan.Config, err error) {
	c = plan.Config{Network: net, Terminals: o.terminals, Paths: o.paths, Days: o.days, Seed: o.seed}
	if o.perPair != "" {
		if c.PerPair, err = node.ParseRate(o.perPair); err != nil || c.PerPair <= 0 {
			return c, usage{fmt.Errorf("--demand: %s is no rate such as \"1 kbit/s\"", quoteArg(o.perPair))}
		}
	}
	if o.from != "" {
		if c.From, err = time.Parse(time.DateOnly, o.from); err != nil {
			return c, usage{fmt.Errorf("--from: %s is no date such as 2026-11-22", quoteArg(o.from))}
		}
	}
	return c, nil
}

func (a *app) reckon(ctx context.Context, network string, o planOptions) error {
	net, err := node.LoadNetwork(network)
	if err != nil {
		return err
	}
	c, err := o.config(net)
	if err != nil {
		return err
	}
	p, err := plan.Make(ctx, c)
	if err != nil {
		return err
	}
	if o.svg != "" {
		if err := draw(p, o.svg); err != nil {
			return err
		}
	}
	if a.json {
		return a.answer(p)
	}
	return a.showPlan(p, o)
}

// draw writes the picture whole or not at all.
func draw(p *plan.Plan, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".qsc-plan-*")
	if err != nil {
		return qsc.E("", qsc.Invalid, "", "cannot write %s: %w", path, err)
	}
	err = p.WriteSVG(f)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return qsc.E("", qsc.NoSpace, "", "cannot write %s: %w", path, err)
	}
	return nil
}

// How many rows of a long list people see; --json has all.
const planRows = 12

func (a *app) showPlan(p *plan.Plan, o planOptions) error {
	fmt.Fprintf(a.out, "%s: %d nodes, %d links, reckoned in %.2f s\n\n", first(p.Title, p.Network), p.Nodes, len(p.Links), p.Seconds)
	for _, part := range []struct {
		title string
		table *show.Table
		more  int
	}{
		{"links, the scarcest first", linkPlan(p), len(p.Links) - planRows},
		{"between nodes, when nobody else wants anything", pairPlan(p, o.paths), p.PairCount - planRows},
		{"when it is lost (demand of a lost node's own terminals left out)", lossPlan(p), len(p.Losses) - planRows},
		{"satellite passes with key", passPlan(p), plan.WithKey(p.Passes) - planRows},
		{"what to add", advicePlan(p), 0},
	} {
		if part.table == nil {
			continue
		}
		fmt.Fprintf(a.out, "%s\n", strings.ToUpper(part.title[:1])+part.title[1:])
		if err := part.table.Write(a.out, "  "); err != nil {
			return err
		}
		if part.more > 0 {
			fmt.Fprintf(a.out, "  and %d more (--json)\n", part.more)
		}
		fmt.Fprintln(a.out)
	}
	a.showDemand(p)
	if o.svg != "" {
		a.tell("picture: %s", o.svg)
	}
	return nil
}

func (a *app) showDemand(p *plan.Plan) {
	d := p.Demand
	fmt.Fprintf(a.out, "Demand: %d pairs of %d terminals want %v in all, %v of end-to-end key with every disjoint path counted.\n", d.Pairs, p.Terminals, d.Wanted, d.Spent)
	if d.Cut > 0 {
		fmt.Fprintf(a.out, "Cut off: %.1f %% of it has no way at all and is left out of what follows.\n", 100*d.Cut)
	}
	if d.AtMost > 0 {
		fmt.Fprintf(a.out, "Served: every pair at once can have %s that, and no plan gives more than %s it.\n", plan.Share(d.AtLeast), plan.Share(d.AtMost))
	}
	if d.Autonomy >= 0 {
		fmt.Fprintf(a.out, "Autonomy: full rings last %s for the whole demand when every source stops; %s is empty first.\n", show.Duration(days(d.Autonomy)), d.Weakest)
	}
	if d.Lasts >= 0 {
		fmt.Fprintf(a.out, "Too much is wanted: even with the sources full rings last %s; %s is empty first.\n", show.Duration(days(d.Lasts)), d.Shortest)
	}
	fmt.Fprintln(a.out, "\nOver standard fibre")
	for _, c := range p.Crossings {
		fmt.Fprintf(a.out, "  %v\n", c)
	}
	if p.Weather != "" {
		fmt.Fprintln(a.out, p.Weather)
	}
}

func days(d float64) time.Duration {
	return time.Duration(math.Min(d*86400e9, math.MaxInt64/2)).Round(time.Second)
}

func linkPlan(p *plan.Plan) *show.Table {
	t := show.NewTable("LINK", "KIND", "DEVICE", "KM", "LOSS", "RATE", "ERROR RATE", "BLOCK IN", "LOAD", "LASTS ALONE", "AND WITH SOURCE", "BOUND")
	for _, l := range plan.Scarcest(p.Links, planRows) {
		device := l.Preset
		if l.Assumed {
			device += " (assumed)"
		}
		t.Row(string(l.ID), l.Kind, device, blank("%.4g", l.Distance), blank("%.3g dB", l.Loss), l.Rate.String(), percent(l.QBER),
			seconds(l.Fill), load(l.Load), lasts(l.Autonomy, "not used"), lasts(l.Lasts, "for ever"), l.Bound)
	}
	return t
}

func blank(format string, v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func seconds(s float64) string {
	if s == 0 {
		return ""
	}
	return show.Duration(time.Duration(s * 1e9).Round(10 * time.Millisecond))
}

// load is the demand over the rate.
func load(l float64) string {
	if l >= 10 {
		return fmt.Sprintf("%.3g ×", l)
	}
	return fmt.Sprintf("%.0f %%", 100*l)
}

func lasts(d float64, never string) string {
	if d < 0 {
		return never
	}
	return show.Duration(days(d))
}

func pairPlan(p *plan.Plan, asked int) *show.Table {
	t := show.NewTable("FROM", "TO", "ONE PATH", "DISJOINT PATHS", "OVER ALL OF THEM", "HOPS")
	for _, x := range ends(p.Pairs, planRows) {
		paths := fmt.Sprint(x.Paths)
		if x.Fewer {
			paths = fmt.Sprintf("%d of %d", x.Paths, asked)
		}
		t.Row(string(x.From), string(x.To), x.Single.String(), paths, x.Protected.String(), fmt.Sprint(x.Hops))
	}
	return t
}

// ends are the first and the last of a long list.
func ends[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	return append(append([]T(nil), all[:n/2]...), all[len(all)-n/2:]...)
}

func lossPlan(p *plan.Plan) *show.Table {
	t := show.NewTable("LOST", "CUT OFF", "SERVED AT LEAST", "AT MOST")
	for _, l := range p.Losses[:min(planRows, len(p.Losses))] {
		t.Row(l.What, fmt.Sprintf("%.1f %%", 100*l.Cut), share(l.AtLeast), share(l.AtMost))
	}
	return t
}

// share is how many times what is wanted can be had.
func share(times float64) string {
	switch {
	case times == 0:
		return ""
	case times < 0.01:
		return fmt.Sprintf("%.2g %%", 100*times)
	}
	return fmt.Sprintf("%.3g ×", times)
}

func passPlan(p *plan.Plan) *show.Table {
	if plan.WithKey(p.Passes) == 0 {
		return nil
	}
	t := show.NewTable("RISES (UTC)", "STATION", "LASTS", "HIGHEST", "KEY")
	rows := 0
	for _, s := range p.Passes {
		if s.Bits > 0 && rows < planRows {
			rows++
			t.Row(s.Rise.UTC().Format("2006-01-02 15:04:05"), string(s.Station), show.Duration(s.Set.Sub(s.Rise).Round(time.Second)), fmt.Sprintf("%.0f°", s.Elevation), bits(s.Bits))
		}
	}
	return t
}

func advicePlan(p *plan.Plan) *show.Table {
	if len(p.Advice) == 0 {
		return nil
	}
	t := show.NewTable("ADD", "SERVED THEN", "GAIN")
	for _, x := range p.Advice {
		t.Row(x.What, share(x.AtLeast), fmt.Sprintf("%+.0f %%", 100*(x.Gain-1)))
	}
	return t
}

// presets lists the device pairs.
func (a *app) presets() error {
	all := node.Presets()
	if a.json {
		return a.answer(all)
	}
	t := show.NewTable("PRESET", "KIND", "RUNS", "WHAT IT IS")
	for _, p := range all {
		runs := "planned only"
		if p.Runs {
			runs = "runs"
		}
		t.Row(p.Name, p.Kind, runs, p.About)
	}
	return t.Write(a.out, "")
}
