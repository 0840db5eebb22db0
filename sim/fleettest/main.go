package fleettest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// childEnv makes a process of a test binary a node: go test needs nothing built
// before.
const childEnv = "QSC_FLEETTEST_CHILD"

// Main is TestMain of a package whose nodes are its own test binary: it runs the
// tests or, in a child, the node. other is given what else a child's arguments are;
// it may be nil.
func Main(m *testing.M, other func(ctx context.Context, args []string) error) {
	if os.Getenv(childEnv) != "" && len(os.Args) > 1 {
		if err := child(os.Args[1:], other); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := os.Setenv(childEnv, "1"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// child is what the fleet starts, with the arguments of qsc.
func child(args []string, other func(context.Context, []string) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	switch {
	case len(args) == 4 && args[0] == "node":
		return fleet.Run(ctx, args[2], true, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	case other != nil:
		return other(ctx, args)
	}
	return fmt.Errorf("not a child's arguments: %q", args)
}
