//go:build !linux

package distill

// beside runs f. Only Linux lets threads of a process differ in priority.
func beside(f func()) { f() }
