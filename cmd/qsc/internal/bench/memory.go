package bench

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
)

// memoryLimit is what a node may take of its own, whatever the file's size.
const memoryLimit = 300 << 20

// peak returns the largest memory of its own that a node has now, in bytes: what
// is resident, less the pages of mapped files, which the kernel takes back at
// will. 0 where the system does not tell.
func (b *putBench) peak() (most float64) {
	for _, n := range b.fleet.Network().Nodes {
		most = max(most, anonymous(b.fleet.PID(qsc.NodeID(n.ID))))
	}
	return most
}

func anonymous(pid int) float64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	var kib float64
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "RssAnon:"); ok {
			_, _ = fmt.Sscan(v, &kib) // 0 if it is no number
		}
	}
	return kib * 1024
}
