package wide

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// A hundred nodes: key for two of them that lie five links apart, over three
// disjoint paths of which two suffice, while paths are cut and a controller dies.
func TestBackbone(t *testing.T) {
	if os.Getenv("QSC_LONG") == "" {
		t.Skip("a hundred node processes and some minutes: QSC_LONG=1")
	}
	n := open(t, "backbone-100")
	t.Logf("up after %v", n.up.Round(time.Millisecond))
	n.costs()
	w := n.pair(5, keymgmt.Protection{Paths: 3, Need: 2})
	t.Logf("%s and %s, %d links apart, over %v", w.from, w.to, 5, w.route().Paths)
	t.Run("curl", func(t *testing.T) {
		needCurl(t)
		if s := twin(t, w.a, w.b); s.Paths != 3 || s.Need != 2 || !s.Disjoint || s.Hops < 5 {
			t.Errorf("the KME says %+v", s)
		}
	})
	for range 2 {
		w.cut("kill -9 of a node between", n.MustKill)
		w.mended()
	}
	var thaw func()
	w.cut("a node between stands still", func(id qsc.NodeID) { thaw = n.Freeze(id) })
	thaw()
	w.mended()
	all := w.all("carol", "dave")
	all.cut("kill -9, all three paths needed", n.MustKill)
	all.mended()
	all.d.End()
	w.beheaded()
	w.mended()
}

// pair is two applications between which key is drawn all the time.
type pair struct {
	*network
	from, to qsc.NodeID
	p        keymgmt.Protection
	a, b     *fleettest.SAE
	d        *fleettest.Drawing
	dead     []qsc.NodeID // killed so far
}

// pair admits two applications and returns when key flows between them by the
// controller's routes.
func (n *network) pair(apart int, p keymgmt.Protection) *pair {
	w := &pair{network: n, p: p}
	w.from, w.to = choose(n.T, n.Fleet.Network(), apart, p.Paths, n.controllers())
	w.begin("alice", "bob", 4) // 100 kbit/s of key
	return w
}

// all is another pair of applications between the same nodes, whose keys need
// every path: none can be lost unnoticed.
func (w *pair) all(master, slave qsc.AppID) *pair {
	o := &pair{network: w.network, from: w.from, to: w.to, p: keymgmt.Protection{Paths: w.p.Paths, Need: w.p.Paths}}
	o.begin(master, slave, 16) // 400 kbit/s
	return o
}

// begin admits the applications and draws so many keys at once, until all is calm.
func (w *pair) begin(master, slave qsc.AppID, number int) {
	w.a, w.b = w.Admit(master, slave, w.from, w.to, keymgmt.Policy{Protection: w.p})
	w.d = fleettest.Draw(w.T, w.a, w.b, often(number))
	w.settled(w.d, w.from, w.to, w.p)
	w.Until("a calm beginning", func() bool {
		w.Until("keys", func() bool { return w.d.Now().Keys > 1000 })
		return w.d.Mark().Failed == 0
	})
}

// route is what key goes by now.
func (w *pair) route() keymgmt.Route { return w.network.route(w.from, w.to, w.p) }

// between is a node in the middle of a path that may be taken away.
func (w *pair) between(r keymgmt.Route) qsc.NodeID {
	w.T.Helper()
	return middle(w.T, w.Fleet.Network(), r.Paths, append(w.controllers(), w.from, w.to), w.dead)
}

// cut takes a node in the middle of a path away and waits for three paths again.
func (w *pair) cut(what string, take func(qsc.NodeID)) {
	w.T.Helper()
	w.Until("key", func() bool { return w.d.Now().Keys > 100 })
	w.d.Mark().Calm(w.T, "before")
	id := w.between(w.route())
	lost := w.lost()
	begin := time.Now()
	take(id)
	w.dead = append(w.dead, id)
	around := w.Since(begin, patience, "paths around "+string(id), func() bool {
		r := w.route()
		return r.Epoch > 0 && len(r.Paths) == 3 && r.Disjoint && disjoint(r.Paths) && !passes(r.Paths, []qsc.NodeID{id})
	})
	made := w.Status(w.from).Keys.Relay.Made
	first := w.Since(begin, patience, "key over them", func() bool { return w.Status(w.from).Keys.Relay.Made > made })
	w.Until("more key", func() bool { return w.d.Now().Keys > 1000 })
	s := w.d.Mark()
	w.T.Logf("%s: three paths again after %v, the next key is made after %v; %d paths lost unnoticed", what,
		around.Round(time.Millisecond), first.Round(time.Millisecond), w.lost()-lost)
	s.Calm(w.T, what)
	if s.Told.Paths != 3 || !s.Told.Disjoint {
		w.T.Errorf("%s: the KME says %+v", what, s.Told)
	}
}

// lost counts the paths that were lost, at both ends, without a round failing.
func (w *pair) lost() int64 {
	return w.Status(w.from).Keys.Relay.Lost + w.Status(w.to).Keys.Relay.Lost
}

// beheaded kills the leading controller: the other takes over.
func (w *pair) beheaded() {
	w.T.Helper()
	w.d.Mark()
	id, old := w.leader()
	if id == "" {
		w.T.Fatal("no controller leads")
	}
	begin := time.Now()
	w.MustKill(id)
	w.dead = append(w.dead, id)
	over := w.Since(begin, patience, "another controller", func() bool {
		next, _ := w.leader()
		return next != "" && next != id
	})
	heard := w.Since(begin, patience, "its routes", func() bool { return w.route().Epoch > old })
	w.Until("more key", func() bool { return w.d.Now().Keys > 1000 })
	w.T.Logf("another controller leads after %v (epoch %d, was %d), its routes are in use after %v", over.Round(time.Millisecond), w.route().Epoch, old, heard.Round(time.Millisecond))
	w.d.Mark().Calm(w.T, "the leading controller's death")
	if r := w.route(); len(r.Paths) != 3 || !r.Disjoint {
		w.T.Errorf("the new controller's paths: %v, disjoint: %t", r.Paths, r.Disjoint)
	}
}

// mended starts everything that was killed: all links come up again.
func (w *pair) mended() {
	w.T.Helper()
	w.d.Mark()
	begin := time.Now()
	for _, id := range w.dead {
		if w.Fleet.PID(id) == 0 {
			w.MustStart(id)
		}
	}
	w.dead = nil
	ctx, cancel := context.WithTimeout(w.T.Context(), patience)
	defer cancel()
	if down := w.Fleet.Await(ctx, func(l admin.Link) bool { return l.Up && l.Balanced }); len(down) > 0 {
		w.T.Errorf("these links are not up, or their books do not balance: %v", down)
	}
	w.Until("more key", func() bool { return w.d.Now().Keys > 1000 })
	w.T.Logf("all nodes back after %v", time.Since(begin).Round(time.Millisecond))
	w.d.Mark().Calm(w.T, "while nodes come back")
	for _, id := range []qsc.NodeID{w.from, w.to} {
		if k := w.Status(id).Keys; !k.Balanced || k.Relay.Tampered > 0 {
			w.T.Errorf("%s: the account of key does not balance, or a round was tampered with: %+v", id, k)
		}
	}
}
