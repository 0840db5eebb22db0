package ledger_test

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
	"github.com/quantum-secure-cloud/qsc/keymgmt/ledger"
)

func open(s keymgmttest.Setup) (keymgmt.Ledger, error) {
	return ledger.Open(config(s))
}

func config(s keymgmttest.Setup) ledger.Config {
	return ledger.Config{FS: s.FS, Link: s.Link, End: s.End, Epoch: s.Epoch, Block: s.Block, Pad: s.Pad, Source: s.Source,
		Idle: 4 * time.Millisecond, Wait: 2 * time.Millisecond, Retry: time.Millisecond}
}

func TestConform(t *testing.T) { keymgmttest.Conform(t, open) }

func TestFaultMatrix(t *testing.T) { keymgmttest.Matrix(t, open) }

func TestModel(t *testing.T) { keymgmttest.Model(t, open) }
