package crash

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

func TestMain(m *testing.M) { fleettest.Main(m, child) }

// child is the courier: a process of this binary that is no node.
func child(ctx context.Context, args []string) error {
	if len(args) == 4 && args[0] == "provision" {
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
