package wide

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
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
		w.cut("kill -9 of a node between", n.kill)
		w.mended()
	}
	var thaw func()
	w.cut("a node between stands still", func(id qsc.NodeID) { thaw = n.freeze(id) })
	thaw()
	w.mended()
	all := w.all("carol", "dave")
	all.cut("kill -9, all three paths needed", n.kill)
	all.mended()
	all.d.end()
	w.beheaded()
	w.mended()
}

// pair is two applications between which key is drawn all the time.
type pair struct {
	*network
	from, to qsc.NodeID
	p        keymgmt.Protection
	a, b     *sae
	d        *drawing
	dead     []qsc.NodeID // killed so far
}

// pair admits two applications and returns when key flows between them by the
// controller's routes.
func (n *network) pair(apart int, p keymgmt.Protection) *pair {
	w := &pair{network: n, p: p}
	w.from, w.to = choose(n.t, n.fleet.Network(), apart, p.Paths, n.controllers())
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
	w.a, w.b = w.admit(master, slave, w.from, w.to, w.p)
	w.d = draw(w.t, w.a, w.b, number, 256)
	w.settled(w.d, w.from, w.to, w.p)
	w.until("a calm beginning", time.Now(), func() bool {
		w.until("keys", time.Now(), func() bool { return w.d.drawn() > 1000 })
		return w.d.mark().failed == 0
	})
}

// route is what key goes by now.
func (w *pair) route() keymgmt.Route { return w.network.route(w.from, w.to, w.p) }

// between is a node in the middle of a path that may be taken away.
func (w *pair) between(r keymgmt.Route) qsc.NodeID {
	w.t.Helper()
	return middle(w.t, w.fleet.Network(), r.Paths, append(w.controllers(), w.from, w.to), w.dead)
}

// cut takes a node in the middle of a path away and waits for three paths again.
func (w *pair) cut(what string, take func(qsc.NodeID)) {
	w.t.Helper()
	w.until("key", time.Now(), func() bool { return w.d.drawn() > 100 })
	calm(w.t, "before", w.d.mark())
	id := w.between(w.route())
	lost := w.lost()
	begin := time.Now()
	take(id)
	w.dead = append(w.dead, id)
	around := w.until("paths around "+string(id), begin, func() bool {
		r := w.route()
		return r.Epoch > 0 && len(r.Paths) == 3 && r.Disjoint && disjoint(r.Paths) && !passes(r.Paths, []qsc.NodeID{id})
	})
	made := w.status(w.from).Keys.Relay.Made
	first := w.until("key over them", begin, func() bool { return w.status(w.from).Keys.Relay.Made > made })
	w.until("more key", time.Now(), func() bool { return w.d.drawn() > 1000 })
	s := w.d.mark()
	w.t.Logf("%s: three paths again after %v, the next key is made after %v; %d paths lost unnoticed", what,
		around.Round(time.Millisecond), first.Round(time.Millisecond), w.lost()-lost)
	calm(w.t, what, s)
	if s.told.Paths != 3 || !s.told.Disjoint {
		w.t.Errorf("%s: the KME says %+v", what, s.told)
	}
}

// lost counts the paths that were lost, at both ends, without a round failing.
func (w *pair) lost() int64 {
	return w.status(w.from).Keys.Relay.Lost + w.status(w.to).Keys.Relay.Lost
}

// beheaded kills the leading controller: the other takes over.
func (w *pair) beheaded() {
	w.t.Helper()
	w.d.mark()
	id, old := w.leader()
	if id == "" {
		w.t.Fatal("no controller leads")
	}
	begin := time.Now()
	w.kill(id)
	w.dead = append(w.dead, id)
	over := w.until("another controller", begin, func() bool {
		next, _ := w.leader()
		return next != "" && next != id
	})
	heard := w.until("its routes", begin, func() bool { return w.route().Epoch > old })
	w.until("more key", time.Now(), func() bool { return w.d.drawn() > 1000 })
	w.t.Logf("another controller leads after %v (epoch %d, was %d), its routes are in use after %v", over.Round(time.Millisecond), w.route().Epoch, old, heard.Round(time.Millisecond))
	calm(w.t, "the leading controller's death", w.d.mark())
	if r := w.route(); len(r.Paths) != 3 || !r.Disjoint {
		w.t.Errorf("the new controller's paths: %v, disjoint: %t", r.Paths, r.Disjoint)
	}
}

// mended starts everything that was killed: all links come up again.
func (w *pair) mended() {
	w.t.Helper()
	w.d.mark()
	begin := time.Now()
	for _, id := range w.dead {
		if w.fleet.PID(id) == 0 {
			if err := w.fleet.StartNode(w.t.Context(), id); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.dead = nil
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if down := w.fleet.Await(ctx, func(l admin.Link) bool { return l.Up && l.Balanced }); len(down) > 0 {
		w.t.Errorf("these links are not up, or their books do not balance: %v", down)
	}
	w.until("more key", time.Now(), func() bool { return w.d.drawn() > 1000 })
	w.t.Logf("all nodes back after %v", time.Since(begin).Round(time.Millisecond))
	calm(w.t, "while nodes come back", w.d.mark())
	for _, id := range []qsc.NodeID{w.from, w.to} {
		if k := w.status(id).Keys; !k.Balanced || k.Relay.Tampered > 0 {
			w.t.Errorf("%s: the account of key does not balance, or a round was tampered with: %+v", id, k)
		}
	}
}
