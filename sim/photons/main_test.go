package photons

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

func TestMain(m *testing.M) { fleettest.Main(m, nil) }
