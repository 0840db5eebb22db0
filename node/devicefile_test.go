package node

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/device/record"
	"github.com/quantum-secure-cloud/qsc/quantum/device/timetag"
)

// Key comes from what other programs write at both ends: a file of records, and
// the events of time taggers, of which the nodes distil it.
func TestDeviceFiles(t *testing.T) {
	dir := t.TempDir()
	t.Run("record", func(t *testing.T) {
		vendor := writeRecords(t, dir)
		blocks := testkit.Address(t)
		both := openPairOf(t, filepath.Join(dir, "r"), pairOf(`kind = "device"`), func(c *Config) {
			c.Device = map[string]Device{"a-b": {Protocol: "record", File: vendor, Blocks: blocks}}
		})
		awaitKey(t, both, qsc.Computational)
	})
	t.Run("timetag", func(t *testing.T) {
		events := writeEvents(t, dir)
		channel := testkit.Address(t)
		source := strings.Replace(pairOf(`kind = "device"`), "16 KiB", "4 KiB", 1)
		both := openPairOf(t, filepath.Join(dir, "t"), source, func(c *Config) {
			c.Device = map[string]Device{"a-b": {Protocol: "timetag", Events: events[c.Node], Channel: channel, Sifted: 120_000}}
		})
		awaitKey(t, both, qsc.Simulated)
		records, err := both[1].Records("a-b", 1)
		if err != nil || len(records) == 0 || records[0].QBER <= 0 || records[0].QBER > 0.05 {
			t.Errorf("records %+v, %v", records, err)
		}
	})
}

// writeRecords makes a vendor's file that both ends read.
func writeRecords(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "keys.bin")
	content := make([]byte, 4000*record.Size)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeEvents makes what two taggers will have written within seconds, beginning when
// it returns: a node does not look at what lies further back. How long the making takes
// (seconds under the race detector) is tried out with a part of it, and what a stall has
// made far too early or too late is made again.
func writeEvents(t *testing.T, dir string) map[qsc.NodeID]string {
	t.Helper()
	const epochs, some = 48, 4 // of 0.54 s
	begin := time.Now()
	simulate(t, filepath.Join(dir, "trial"), begin, some)
	for took := time.Since(begin) * epochs / some; ; took = time.Since(begin) {
		begin = time.Now()
		start := begin.Add(took)
		out := simulate(t, filepath.Join(dir, start.Format("150405.000")), start, epochs)
		if late := time.Since(start); late > -30*time.Second && late < 12*time.Second {
			return out
		}
	}
}

func simulate(t *testing.T, dir string, start time.Time, epochs int) map[qsc.NodeID]string {
	t.Helper()
	out := map[qsc.NodeID]string{}
	var roots [2]*os.Root
	for i, id := range []qsc.NodeID{"a", "b"} {
		out[id] = filepath.Join(dir, "tags-"+string(id))
		if err := os.MkdirAll(out[id], 0o700); err != nil {
			t.Fatal(err)
		}
		r, err := os.OpenRoot(out[id])
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		roots[i] = r
	}
	sim := timetag.Simulation{PairsHz: 2e5, EtaA: 0.5, EtaB: 0.5, DarkHz: 500, JitterS: 2e-10, EMis: 0.01, DeadTimeS: 5e-8, OffsetS: 0.0123}
	if err := sim.Simulate(quantum.World{Seed: [32]byte{9}, Start: start}, epochs, roots[0], roots[1]); err != nil {
		t.Fatal(err)
	}
	return out
}

// awaitKey waits until both ends of the pair's link have key, and have used some of it to greet each other.
func awaitKey(t *testing.T, both [2]*Node, want qsc.Class) {
	t.Helper()
	ready := func(n *Node) bool {
		l := n.Status(t.Context()).Links[0]
		return l.SendSlots.Left > 0 && l.Up && l.Class&want != 0
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(3 * time.Minute); !ready(both[0]) || !ready(both[1]); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("no key: %+v", both[0].Status(t.Context()))
		}
	}
}
