// Package ports gives out loopback ports that are picked now and listened on later,
// perhaps by another process and perhaps again after it was down: no other program of
// ours on this machine is given one of them meanwhile.
//
// It keeps nobody else's program from listening there.
package ports

import (
	"cmp"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
)

// The ports that are picked lie below those that systems give to outgoing
// connections, so that one picked today is free tomorrow.
const (
	first     = 20000
	blockSize = 100
	count     = 100 // blocks
)

const loopback = "127.0.0.1"

// Blocks are runs of ports that are its owner's until Release: it listens on the first
// port of each, its guard, which no other owner can do then. The zero value has none.
// Methods may be called from several goroutines.
type Blocks struct {
	First int // of the 10,000 ports to pick from; 0: 20000

	mu     sync.Mutex
	guards map[int]net.Listener // by the block's number
}

// Pick returns an address that is free and not taken, in a block of the owner's or in a
// new one. Error: Busy.
func (b *Blocks) Pick(taken map[string]bool) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range b.guards {
		if a, ok := b.freeIn(n, taken); ok {
			return a, nil
		}
	}
	for i, from := 0, os.Getpid(); i < count; i++ {
		n := (from + i) % count
		if b.guards[n] != nil || !b.take(n) {
			continue
		}
		if a, ok := b.freeIn(n, taken); ok {
			return a, nil
		}
	}
	return "", qsc.E("ports.Pick", qsc.Busy, "", "no port from %d to %d is free on %s", b.first(), b.first()+count*blockSize-1, loopback)
}

// Keep takes the block of an address that was picked once, and reports whether the
// address is the owner's and free.
func (b *Blocks) Keep(addr string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, ok := b.block(addr)
	return ok && b.take(n) && free(addr)
}

func (b *Blocks) take(n int) bool {
	if b.guards[n] != nil {
		return true
	}
	l, err := net.Listen("tcp", b.address(n, 0))
	if err != nil {
		return false
	}
	if b.guards == nil {
		b.guards = map[int]net.Listener{}
	}
	b.guards[n] = l
	return true
}

// Release gives all blocks back.
func (b *Blocks) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.guards {
		_ = l.Close() // nothing was said on it
	}
	b.guards = nil
}

// Picked reports whether an address is one that Pick may have given.
func (b *Blocks) Picked(addr string) bool { _, ok := b.block(addr); return ok }

func (b *Blocks) first() int { return cmp.Or(b.First, first) }

func (b *Blocks) block(addr string) (n int, ok bool) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil || host != loopback {
		return 0, false
	}
	port, err := strconv.Atoi(text)
	i := port - b.first()
	return i / blockSize, err == nil && i >= 0 && i < count*blockSize
}

func (b *Blocks) address(block, i int) string {
	return net.JoinHostPort(loopback, strconv.Itoa(b.first()+block*blockSize+i))
}

func (b *Blocks) freeIn(block int, taken map[string]bool) (string, bool) {
	for i := 1; i < blockSize; i++ {
		if a := b.address(block, i); !taken[a] && free(a) {
			return a, true
		}
	}
	return "", false
}

func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
