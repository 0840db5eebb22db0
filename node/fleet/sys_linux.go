package fleet

import "syscall"

// childAttr puts a child in a process group of its own, so that Ctrl-C reaches
// the supervisor alone, which then ends its children in order; and has the
// system ask the child to end when the supervisor dies. (It does so when the
// thread that started the child ends; Go ends no thread that is not locked.)
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
