package keymgmttest

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Setup is what a room needs to open one end. It should wait no longer than
// some 2 ms for a block on its way and ask an empty source every millisecond.
type Setup struct {
	FS     durable.FS
	Link   qsc.LinkID
	End    int
	Epoch  uint32
	Block  int64
	Pad    int64
	Source quantum.Link
}

// Opener opens one end of a room under test.
type Opener func(Setup) (keymgmt.Ledger, error)

const (
	link      = qsc.LinkID("sendai-tome")
	blockSize = 4096
)

var padSize = uint64(keymgmt.PadSize(blockSize))

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, err error, k qsc.Kind) {
	t.Helper()
	if !qsc.IsKind(err, k) {
		t.Fatalf("got error %v, want kind %v", err, k)
	}
}

// truth is the pad of a lane from the blocks themselves.
func truth(lane int, from, to uint64) (b []byte) {
	for from < to {
		i := from / padSize
		key := Key(1, keymgmt.SeqOf(laneID(lane), i), blockSize)[blockSize-int(padSize):]
		end := min(to, (i+1)*padSize)
		b = append(b, key[from-i*padSize:end-i*padSize]...)
		from = end
	}
	return b
}
