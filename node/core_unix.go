//go:build unix

package node

import "golang.org/x/sys/unix"

// refuseCoreDumps keeps pads and shares out of core files.
func refuseCoreDumps() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // lowering a limit is always allowed
}
