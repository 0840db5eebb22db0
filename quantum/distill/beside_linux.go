package distill

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// aside is the nice value of work beside the rounds: it takes what processor time they
// leave. The other end waits for every answer in a round, and would wait for a time
// slice of a thread that hashes.
const aside = 19

// beside runs f on a thread of its own that lets others go first. The thread ends with
// it, since not everybody may take a nice value back.
func beside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), aside)
		f()
	}()
	<-done
}
