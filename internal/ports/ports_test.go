package ports

import (
	"net"
	"testing"
)

// What one owner was given is nobody else's until it is released, though nobody
// listens there.
func TestBlocksAreTheirOwners(t *testing.T) {
	a, b := Blocks{First: 1100}, Blocks{First: 1100} // where no other test takes what is released
	defer func() { a.Release(); b.Release() }()
	given := map[string]bool{}
	at := map[int]bool{} // blocks of a
	for range blockSize + 1 {
		addr := pick(t, &a, given)
		if given[addr] || !a.Picked(addr) {
			t.Fatalf("given %s", addr)
		}
		given[addr] = true
		n, _ := a.block(addr)
		at[n] = true
	}
	if len(at) < 2 {
		t.Errorf("%d addresses in %d block", len(given), len(at))
	}
	for range blockSize + 1 {
		addr := pick(t, &b, given)
		given[addr] = true
		if n, _ := a.block(addr); at[n] {
			t.Fatalf("%s is in a block of another's", addr)
		}
	}
	for addr := range given {
		n, _ := a.block(addr)
		if got := b.Keep(addr); got == at[n] {
			t.Fatalf("b keeps %s: %v", addr, got)
		}
	}
	a.Release()
	for addr := range given {
		if !b.Keep(addr) {
			t.Fatalf("b cannot keep %s", addr)
		}
	}
}

func TestTakenAddressIsNotGiven(t *testing.T) {
	var b Blocks
	defer b.Release()
	addr := pick(t, &b, nil)
	if !b.Keep(addr) {
		t.Errorf("%s cannot be kept", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if b.Keep(addr) {
		t.Errorf("%s is kept though somebody listens there", addr)
	}
	if again := pick(t, &b, nil); again == addr {
		t.Errorf("%s is given though somebody listens there", addr)
	}
	n, _ := b.block(addr)
	if b.Keep(b.address(n, 0)) {
		t.Error("a guard is kept")
	}
}

func TestPicked(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:20000": true, "127.0.0.1:29999": true, "127.0.0.1:19999": false, "127.0.0.1:30000": false,
		"127.0.0.1:443": false, "10.0.0.1:20001": false, "nonsense": false, "127.0.0.1:x": false, "": false,
	} {
		if new(Blocks).Picked(addr) != want {
			t.Errorf("%s: picked %v", addr, !want)
		}
	}
	low := Blocks{First: 10000}
	defer low.Release()
	if addr := pick(t, &low, nil); new(Blocks).Picked(addr) || !low.Picked(addr) {
		t.Errorf("picked %s from port 10000 on", addr)
	}
}

func pick(t *testing.T, b *Blocks, taken map[string]bool) string {
	t.Helper()
	addr, err := b.Pick(taken)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
