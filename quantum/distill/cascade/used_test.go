package cascade

import (
	"time"

	"golang.org/x/sys/unix"
)

// used is the processor time of all of the process's threads.
func used() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
