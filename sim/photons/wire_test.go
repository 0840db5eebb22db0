package photons

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// wire is a public channel that can be cut and shut: Bob calls it, it calls Alice.
type wire struct {
	l      net.Listener
	target string
	work   sync.WaitGroup

	mu    sync.Mutex
	shut  bool
	conns map[net.Conn]bool
}

// wired leads a link's public channel over a wire. Nodes must not have been started
// yet.
func (n *network) wired(id qsc.LinkID) {
	n.T.Helper()
	file := fleet.ConfigFile(n.Fleet.NodeDir(n.described(id).Ends[1]))
	c, err := node.ReadConfig(file)
	if err != nil {
		n.T.Fatal(err)
	}
	w := newWire(n.T, c.Quantum[string(id)].Channel)
	c.Quantum[string(id)] = node.Quantum{Channel: w.l.Addr().String()}
	if err := c.Save(file); err != nil {
		n.T.Fatal(err)
	}
	n.wires[id] = w
}

func newWire(t testing.TB, target string) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{l: l, target: target, conns: map[net.Conn]bool{}}
	w.work.Go(w.serve)
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
		w.work.Wait()
	})
	return w
}

func (w *wire) serve() {
	for {
		c, err := w.l.Accept()
		if err != nil {
			return
		}
		w.work.Go(func() { w.pass(c) })
	}
}

func (w *wire) pass(bob net.Conn) {
	defer bob.Close()
	if !w.hold(bob) {
		return
	}
	defer w.drop(bob)
	alice, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer alice.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(bob, alice)
		_ = bob.Close()
	})
	_, _ = io.Copy(alice, bob)
	_ = alice.Close()
	back.Wait()
}

func (w *wire) hold(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.shut {
		w.conns[c] = true
	}
	return !w.shut
}

func (w *wire) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// cut breaks what is under way, and nothing passes until open is called.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut = true
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *wire) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut = false
}
