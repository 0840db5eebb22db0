//go:build !linux

package fleet

import "syscall"

// childAttr puts a child in a process group of its own, so that Ctrl-C reaches
// the supervisor alone, which then ends its children in order. That a child ends
// with its supervisor rests on its standard input alone.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
