package distill

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What works beside the rounds lets others go first, and nobody else does from then on.
func TestBesideLetsOthersGoFirst(t *testing.T) {
	nice := func() int {
		p, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		if err != nil {
			t.Error(err)
		}
		return 20 - p // the system call tells 20 less the nice value
	}
	before := nice()
	for range 20 {
		inside := -1
		beside(func() { inside = nice() })
		if inside != max(aside, before) {
			t.Fatalf("nice value %d, not %d", inside, aside)
		}
		if after := nice(); after != before {
			t.Fatalf("nice value %d afterwards, was %d", after, before)
		}
	}
}
