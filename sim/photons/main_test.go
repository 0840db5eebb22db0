package photons

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
const childEnv = "QSC_PHOTONS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" && len(os.Args) == 5 && os.Args[1] == "node" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		defer stop()
		if err := fleet.Run(ctx, os.Args[3], true, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
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
