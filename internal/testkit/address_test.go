package testkit

import (
	"net"
	"testing"
)

// A server listens where it is told to, and again after it has gone.
func TestAddress(t *testing.T) {
	a := Address(t)
	if b := Address(t); a == b {
		t.Fatal("the same address twice:", a)
	}
	for range 2 {
		l, err := net.Listen("tcp", a)
		must(t, err)
		c, err := net.Dial("tcp", a)
		must(t, err)
		must(t, c.Close())
		must(t, l.Close())
		if c, err := net.Dial("tcp", a); err == nil {
			_ = c.Close()
			t.Fatal("somebody answers")
		}
	}
}
