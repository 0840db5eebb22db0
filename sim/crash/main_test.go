package crash

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// childEnv makes a process of this test binary a node or a courier: go test
// needs nothing built before.
const childEnv = "QSC_CRASH_CHILD"

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

// child is what the fleet starts, with the arguments of qsc, and the courier.
func child(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	switch {
	case len(args) == 4 && args[0] == "node":
		return fleet.Run(ctx, args[2], true, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	case len(args) == 4 && args[0] == "provision":
		return courier(ctx, args[1], qsc.LinkID(args[2]), args[3])
	}
	return fmt.Errorf("not a child's arguments: %q", args)
}

// courier provisions a link and writes a byte for every step, so that it can be
// killed at any of them.
func courier(ctx context.Context, data string, link qsc.LinkID, size string) error {
	net, err := node.LoadNetwork(filepath.Join(data, fleet.NetworkFile))
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	_, err = node.Provision(ctx, net, data, link, node.ProvisionOptions{Size: n, Progress: func(int64, int64) {
		_, _ = os.Stdout.Write([]byte{'.'})
	}})
	return err
}
