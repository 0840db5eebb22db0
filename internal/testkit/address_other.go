//go:build !linux

package testkit

import (
	"net"
	"testing"
)

// Address returns a TCP address of the loopback interface that is free now.
func Address(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}
