// Package cli is the command line of qsc: its commands, flags, exit codes, and
// how it talks to people and to programs.
//
// It stores, splits and seals nothing: nodes do that, and they are asked through
// gateway/admin or, for work on a stopped or running network's directories,
// package node.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/progress"
)

// app is what every command shares.
type app struct {
	data    string // --data
	network string // --network
	json    bool
	quiet   bool

	in  io.Reader
	out io.Writer
	err io.Writer
}

// Main runs the program with the arguments behind its name and returns the exit
// code.
func Main(args []string) int {
	// A reader that goes away must not end us before we have cleaned up: writes
	// fail instead.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := withSignals(context.Background())
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && strings.HasPrefix(err.Error(), "required flag") {
		err = usage{err} // cobra has no type for it
	}
	code := codeOf(ctx, err)
	if sig := (interrupted{}); err != nil && errors.As(context.Cause(ctx), &sig) && !strings.HasPrefix(err.Error(), sig.Error()) {
		err = sig // what else failed, failed of that
	}
	if err != nil {
		complain(a.err, a.json, err, code)
	}
	return code
}

// withSignals returns a context that ends at the first SIGINT, SIGTERM or SIGHUP;
// a second one ends the process at once.
func withSignals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case s := <-ch:
				if ctx.Err() != nil {
					os.Exit(interrupted{s.(syscall.Signal)}.code())
				}
				cancel(interrupted{s.(syscall.Signal)})
			case <-done:
				return
			}
		}
	})
	return ctx, func() {
		signal.Stop(ch)
		close(done)
		wg.Wait()
		cancel(nil)
	}
}

const about = `qsc keeps files so that nobody can read them who holds fewer than k of their n
shares, now or ever: files are split at a trusted node, and every share travels
to its site under one-time pads from QKD links or couriered random.

Begin with
  qsc demo              a whole network on this machine, put to the test
  qsc up                the same for daily use, until Ctrl-C
  qsc put FILE          then, in another terminal
  qsc get NAME
  qsc status`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "qsc", Short: "the quantum secure cloud", Long: about,
		SilenceUsage: true, SilenceErrors: true, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	f := root.PersistentFlags()
	f.StringVar(&a.data, "data", "", "the network's data directory (default $QSC_DATA, else the one network that is up, else "+shownDataHome()+"/NETWORK)")
	f.StringVar(&a.network, "network", "", "a network description: a file or a built-in name (default $QSC_NETWORK, else "+defaultNetwork+")")
	f.BoolVar(&a.json, "json", false, "write JSON, and errors as JSON on standard error")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but the answer")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return wrongUse(c, err) })
	a.completions(root)
	root.AddCommand(a.demoCmd(), a.upCmd(), a.putCmd(), a.getCmd(), a.lsCmd(), a.statCmd(), a.rmCmd(),
		a.statusCmd(), a.benchCmd(), a.linkCmd(), a.poolCmd(), a.catalogCmd(), a.networkCmd(), a.caCmd(), a.saeCmd(), a.pskCmd(), a.simCmd(), a.planCmd(), a.nodeCmd(), a.versionCmd(), exitCodesTopic())
	return root
}

func wrongUse(c *cobra.Command, err error) error {
	return usage{errors.New(err.Error() + "; see " + c.CommandPath() + " --help")}
}

// args holds the number of arguments between low and high (negative: any) and
// makes a mistake in it a usage error.
func args(low, high int) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		switch {
		case len(given) < low:
			return wrongUse(c, errors.New("an argument is missing: "+c.UseLine()))
		case high >= 0 && len(given) > high && high == 0 && c.HasSubCommands():
			return wrongUse(c, errors.New("there is no command "+quoteArg(c.CommandPath()+" "+given[0])))
		case high >= 0 && len(given) > high:
			return wrongUse(c, errors.New("too many arguments: "+c.UseLine()))
		}
		return nil
	}
}

func noArgs(c *cobra.Command, given []string) error { return args(0, 0)(c, given) }

// group is a command that only holds others.
func group(use, short string, cmds ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: noArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	g.AddCommand(cmds...)
	return g
}

// bars reports whether progress is to be drawn.
func (a *app) bars() bool { return !a.quiet && !a.json && progress.Wanted(a.err) }

// answer writes v as JSON.
func (a *app) answer(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
