package keys

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

// childEnv makes a process of this test binary a node.
const childEnv = "QSC_KEYS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" && len(os.Args) > 1 {
		if err := child(os.Args[1:]); err != nil {
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
func child(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if len(args) == 4 && args[0] == "node" {
		return fleet.Run(ctx, args[2], true, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}
	return fmt.Errorf("not a child's arguments: %q", args)
}
