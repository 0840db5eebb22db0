package testkit

import (
	"net"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Address returns a TCP address of the loopback interface for a server that is to
// be told where to listen, again and again if need be. A socket that is bound to it
// and does not listen keeps it from every other program until the test ends, as
// long as the server sets SO_REUSEADDR, which Go does.
func Address(t testing.TB) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := unix.Getsockname(fd)
	must(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*unix.SockaddrInet4).Port))
}
