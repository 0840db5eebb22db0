package cli

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

func (a *app) nodeCmd() *cobra.Command {
	var config, level string
	var supervised bool
	c := &cobra.Command{
		Use: "node --config FILE", Short: "run one trusted node: what production runs",
		Long: "Node runs one node from its file until SIGTERM or Ctrl-C, and logs to standard error.\n" +
			"The file is TOML: node = \"tommo\", network = \"../network.toml\", data = \".\".",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.node(c.Context(), config, level, supervised) },
	}
	f := c.Flags()
	f.StringVar(&config, "config", "", "the node's file")
	f.StringVar(&level, "log", "info", "what is logged: debug, info, warn or error")
	f.BoolVar(&supervised, "supervised", false, "end when standard input does, and report to descriptor 3")
	_ = f.MarkHidden("supervised")
	return c
}

func (a *app) node(ctx context.Context, config, level string, supervised bool) error {
	if config == "" {
		return usage{errNoConfig}
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return usage{err}
	}
	opt := &slog.HandlerOptions{Level: l}
	var h slog.Handler = slog.NewTextHandler(a.err, opt)
	if a.json {
		h = slog.NewJSONHandler(a.err, opt)
	}
	return fleet.Run(ctx, config, supervised, slog.New(h))
}
