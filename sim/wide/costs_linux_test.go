package wide

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// What a network at rest may cost on one machine.
const (
	restTime   = 10 * time.Second
	mostMemory = 8 << 30 // bytes, of all nodes
	mostCPU    = 0.75    // of one core, of all nodes; half of one is the aim
)

// costs measures the node processes at rest.
func (n *network) costs() {
	n.T.Helper()
	before, begin := n.cpu(), time.Now()
	t := time.NewTimer(restTime)
	defer t.Stop()
	<-t.C // nothing happens: that is what is measured
	share := (n.cpu() - before).Seconds() / time.Since(begin).Seconds()
	var memory int64
	var files int
	for _, d := range n.Fleet.Network().Nodes {
		at := fmt.Sprintf("/proc/%d", n.Fleet.PID(d.ID))
		memory += kilobytes(at+"/smaps_rollup", "Pss:") << 10
		if list, err := os.ReadDir(at + "/fd"); err == nil {
			files += len(list)
		}
	}
	nodes := len(n.Fleet.Network().Nodes)
	n.T.Logf("%d nodes at rest: %.0f %% of a core, %d MiB of memory, %d open files", nodes, 100*share, memory>>20, files)
	if memory == 0 || memory > mostMemory || share > mostCPU {
		n.T.Errorf("%d nodes may take %d MiB and %.0f %% of a core", nodes, int64(mostMemory)>>20, 100*mostCPU)
	}
}

// cpu is the processor time that all nodes took so far.
func (n *network) cpu() (all time.Duration) {
	n.T.Helper()
	for _, d := range n.Fleet.Network().Nodes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.Fleet.PID(d.ID)))
		if err != nil {
			n.T.Fatal(d.ID, err)
		}
		f := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // from the third field on
		for _, ticks := range f[11:13] {                           // user and system, in hundredths of a second
			k, err := strconv.ParseInt(string(ticks), 10, 64)
			if err != nil {
				n.T.Fatal(err)
			}
			all += time.Duration(k) * 10 * time.Millisecond
		}
	}
	return all
}

// kilobytes reads one line of such a file.
func kilobytes(path, name string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if f := bytes.Fields(line); len(f) > 1 && string(f[0]) == name {
			k, _ := strconv.ParseInt(string(f[1]), 10, 64)
			return k
		}
	}
	return 0
}
