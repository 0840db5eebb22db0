package manage

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// home is a node with its links, whose state a test sets.
type home struct {
	net  *topology.Network
	node qsc.NodeID
	down map[qsc.LinkID]bool
}

func (h *home) state() control.Report {
	var r control.Report
	for _, l := range h.net.LinksOf(h.node) {
		r.Links = append(r.Links, control.LinkState{Link: l.ID, Up: !h.down[l.ID], Send: full, Recv: full, Size: full, Rate: l.Rate})
	}
	return r
}

func agentAt(t *testing.T, h *home, d durable.FS) *Agent {
	t.Helper()
	return got(OpenAgent(AgentConfig{Node: h.node, Network: h.net, Dir: d, State: h.state}))(t)
}

func newAgent(t *testing.T) (*home, *durable.Disk, *Agent) {
	h := &home{net: diamond(), node: "a", down: map[qsc.LinkID]bool{}}
	d := durable.Mem(1 << 20)
	return h, d, agentAt(t, h, d)
}

func pathsTo(p keymgmt.Protection, disjoint bool, paths ...string) control.Flow {
	f := control.Flow{Protection: p, Disjoint: disjoint, Rate: 5e5}
	for _, s := range paths {
		var path keymgmt.Path
		for _, n := range s {
			path = append(path, qsc.NodeID(n))
		}
		f.Paths, f.To = append(f.Paths, path), path[len(path)-1]
	}
	return f
}

func table(epoch, version uint64, flows ...control.Flow) control.Table {
	return control.Table{Node: "a", Epoch: epoch, Version: version, Flows: flows}
}

var one, two = keymgmt.Protection{Paths: 1, Need: 1}, keymgmt.Protection{Paths: 2, Need: 1}

func TestAgentFindsItsOwnPaths(t *testing.T) {
	h, _, a := newAgent(t)
	r := got(a.Route("d", keymgmt.Protection{Paths: 3, Need: 2}))(t)
	if len(r.Paths) != 3 || !r.Disjoint || r.Need != 2 || r.Epoch != 0 {
		t.Fatalf("route %+v", r)
	}
	h.down["a-b"], h.down["a-c"] = true, true
	a.Report()
	r = got(a.Route("d", keymgmt.Protection{}))(t)
	if len(r.Paths) != 1 || r.Paths[0][1] != "e" || r.Need != 1 {
		t.Fatalf("route %+v", r)
	}
	if _, told := a.Pace("d", one); told {
		t.Fatal("a rate that nobody gave")
	}
	h.down["a-e"] = true
	a.Report()
	_, err := a.Route("d", one)
	want(t, err, qsc.NotFound)
	_, err = a.Route("nowhere", one)
	want(t, err, qsc.NotFound)
	_, err = a.Route("a", one)
	want(t, err, qsc.Invalid)
	_, err = a.Route("d", keymgmt.Protection{Paths: 9})
	want(t, err, qsc.Invalid)
}

func TestAgentUsesThePushedTable(t *testing.T) {
	h, d, a := newAgent(t)
	detour := pathsTo(one, true, "aefd")
	must(t, a.Take(table(3, 1, detour, pathsTo(keymgmt.Protection{Paths: 2}, true, "abd", "acd"))))
	r := got(a.Route("d", keymgmt.Protection{}))(t)
	same(t, "route", r, keymgmt.Route{Paths: detour.Paths, Need: 1, Disjoint: true, Epoch: 3})
	if rate, told := a.Pace("d", one); !told || rate != 5e5 {
		t.Fatalf("rate %v %v", rate, told)
	}
	if r := got(a.Route("d", keymgmt.Protection{Paths: 2, Need: 2}))(t); r.Epoch != 3 || len(r.Paths) != 2 {
		t.Fatalf("route %+v", r)
	}
	if r := got(a.Route("f", one))(t); r.Epoch != 0 {
		t.Fatalf("a route that nobody pushed has epoch %d", r.Epoch)
	}
	// Its first link is cut and no controller answers: the node helps itself.
	h.down["a-e"] = true
	if rep := a.Report(); rep.Epoch != 3 || rep.Version != 1 || rep.Node != "a" || rep.Boot != 1 {
		t.Fatalf("report %+v", rep)
	}
	if r := got(a.Route("d", one))(t); r.Epoch != 0 || r.Paths[0][1] == "e" {
		t.Fatalf("route %+v", r)
	}
	h.down["a-e"] = false

	// A restarted node goes on with it, whatever a crash keeps of the disk.
	for seed := range uint64(20) {
		b := agentAt(t, h, d.Crashed(rand.New(rand.NewPCG(seed, 0))))
		if r := got(b.Route("d", one))(t); r.Epoch != 3 {
			t.Fatalf("seed %d: the stored table is forgotten", seed)
		}
		if rep := b.Report(); rep.Boot != 2 || rep.Seq != 1 {
			t.Fatalf("report %+v", rep)
		}
	}
}

func TestAgentRefusesAFormerLeader(t *testing.T) {
	h, d, a := newAgent(t)
	must(t, a.Take(table(5, 4, pathsTo(one, true, "abd"))))
	late := pathsTo(one, true, "acd")
	for _, late := range []control.Table{table(4, 99, late), table(5, 3, late)} {
		want(t, a.Take(late), qsc.Conflict)
		want(t, agentAt(t, h, d.Crashed(nil)).Take(late), qsc.Conflict) // not after a restart either
	}
	must(t, a.Take(table(5, 4, late))) // the same again changes nothing
	if r := got(a.Route("d", one))(t); r.Paths[0][1] != "b" {
		t.Fatalf("route %+v", r)
	}
	must(t, a.Take(table(6, 1, late)))
	if r := got(a.Route("d", one))(t); r.Paths[0][1] != "c" || r.Epoch != 6 {
		t.Fatalf("route %+v", r)
	}
	same(t, "stale", a.Status().Stale, int64(2))
	other := table(7, 1)
	other.Node = "b"
	want(t, a.Take(other), qsc.Invalid)
	want(t, a.Take(table(0, 1)), qsc.Invalid)
}

// A hostile controller cannot make the node use paths that are not there.
func TestAgentVerifiesFlows(t *testing.T) {
	three := keymgmt.Protection{Paths: 3, Need: 3}
	for name, f := range map[string]control.Flow{
		"no such link":      pathsTo(one, true, "ad"),
		"no such node":      pathsTo(one, true, "azd"),
		"begins elsewhere":  pathsTo(one, true, "bd"),
		"a node twice":      pathsTo(one, true, "abacd"),
		"a loop home":       pathsTo(one, true, "aba"),
		"one node":          pathsTo(one, true, "a"),
		"no path":           {To: "d", Protection: one},
		"empty path":        {To: "d", Protection: one, Paths: []keymgmt.Path{{}}},
		"too many":          pathsTo(one, false, "abd", "acd"),
		"the same twice":    pathsTo(two, false, "abd", "abd"),
		"shares a node":     pathsTo(two, true, "abdf", "acdf"),
		"too few, disjoint": pathsTo(three, true, "abd", "acd"),
		"ends elsewhere":    {To: "f", Protection: one, Paths: pathsTo(one, true, "abd").Paths},
	} {
		_, _, a := newAgent(t)
		must(t, a.Take(table(1, 1, f, pathsTo(one, true, "aef"))))
		if s := a.Status(); s.Refused != 1 || s.Flows != 1 {
			t.Errorf("%s: refused %d, %d flows in use", name, s.Refused, s.Flows)
		}
		if r, err := a.Route("d", f.Protection); err == nil && r.Epoch != 0 {
			t.Errorf("%s: the pushed path is used", name)
		}
	}
	for name, f := range map[string]control.Flow{
		"disjoint":         pathsTo(three, true, "abd", "acd", "aefd"),
		"honestly too few": pathsTo(three, false, "abd", "acd"),
	} {
		_, _, a := newAgent(t)
		must(t, a.Take(table(1, 1, f)))
		if r := got(a.Route("d", three))(t); r.Epoch != 1 || r.Disjoint != f.Disjoint || r.Need != len(f.Paths) {
			t.Errorf("%s: route %+v", name, r)
		}
	}
}

func TestSeparate(t *testing.T) {
	for text, ok := range map[string]bool{"abd acd": true, "ad abd": true, "ad ad": false, "abd aebd": false, "abcd aefd": true} {
		var paths []keymgmt.Path
		for s := range strings.FieldsSeq(text) {
			paths = append(paths, pathsTo(one, false, s).Paths...)
		}
		if separate(paths) != ok {
			t.Errorf("%s: separate is %v", text, !ok)
		}
	}
}

// A disk that is full costs the memory of a restart, never the route; damage of
// the file costs as much.
func TestAgentWithoutItsFile(t *testing.T) {
	h := &home{net: diamond(), node: "a"}
	d := durable.Mem(200)
	a := agentAt(t, h, d)
	big := table(2, 1, pathsTo(two, true, "abd", "acd"))
	want(t, a.Take(big), qsc.NoSpace)
	if r := got(a.Route("d", two))(t); r.Epoch != 2 {
		t.Fatal("the table is not used")
	}
	if s := a.Status(); s.Unstored != 1 {
		t.Fatalf("status %+v", s)
	}
	b := agentAt(t, h, d.Crashed(nil))
	if r := got(b.Route("d", two))(t); r.Epoch != 0 {
		t.Fatal("a table that was not stored is there")
	}

	d = durable.Mem(1 << 20)
	must(t, agentAt(t, h, d).Take(big))
	f := got(d.Open(savedName, os.O_RDWR, 0))(t)
	got(f.WriteAt([]byte{'9'}, 40))(t)
	must(t, f.Close())
	if s := agentAt(t, h, d).Status(); s.Epoch != 0 || s.Boot != 1 {
		t.Fatalf("a damaged file is believed: %+v", s)
	}
}

func FuzzDecodeSaved(f *testing.F) {
	for _, s := range []saved{{}, {boot: 9}, {boot: 1, table: aTable}} {
		b, err := s.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeSaved(b)
		if err != nil {
			want(t, err, qsc.Corrupt)
			return
		}
		same(t, "saved", got(decodeSaved(got(s.encode())(t)))(t), s)
	})
}

// script is a bus that keeps what is sent and pushes what a test says.
type script struct {
	reports chan control.Report
	tables  chan control.Table
}

func (s *script) Report(ctx context.Context, r control.Report) error {
	s.reports <- r
	return nil
}

func (s *script) Tables(ctx context.Context, _ qsc.NodeID, take func(control.Table)) error {
	for {
		select {
		case t := <-s.tables:
			take(t)
		case <-ctx.Done():
			return qsc.E("test", qsc.Timeout, "", "%w", ctx.Err())
		}
	}
}

// Reports come once a second, at once after a change, and acknowledge a table.
func TestAgentReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, a := newAgent(t)
		bus := &script{make(chan control.Report, 100), make(chan control.Table)}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		begin := time.Now()
		next := func(after time.Duration) control.Report {
			t.Helper()
			r := <-bus.reports
			if d := time.Since(begin); d != after {
				t.Fatalf("report %d came after %v, not %v", r.Seq, d, after)
			}
			return r
		}
		var running sync.WaitGroup
		running.Go(func() { done <- a.Run(ctx, bus) })
		next(0)
		next(time.Second)
		time.Sleep(300 * time.Millisecond)
		a.Changed()
		next(1300 * time.Millisecond)
		bus.tables <- table(4, 2, pathsTo(one, true, "abd"))
		if r := next(1300 * time.Millisecond); r.Epoch != 4 || r.Version != 2 || r.Seq != 4 {
			t.Fatalf("report %+v", r)
		}
		bus.tables <- control.Table{Node: "a", Epoch: 5} // a new leader asks
		if r := next(1300 * time.Millisecond); r.Epoch != 4 {
			t.Fatalf("report %+v", r)
		}
		next(2 * time.Second)
		stop()
		want(t, <-done, qsc.Timeout)
	})
}

// At every persisting step, whatever the fault leaves behind: the file holds the
// old or the new table, and no number of a boot that has reported comes again.
func TestAgentFaultMatrix(t *testing.T) {
	h := &home{net: diamond(), node: "a"}
	before, after := table(3, 1, pathsTo(one, true, "abd")), table(4, 1, pathsTo(one, true, "acd"))
	for _, mode := range durable.Modes() {
		for step := int64(1); ; step++ {
			d := durable.Mem(1 << 20)
			must(t, agentAt(t, h, d).Take(before))
			f := durable.Faulty(d, durable.Plan{Step: step, Mode: mode, Crash: true})
			boot := uint64(1)
			a, err := OpenAgent(AgentConfig{Node: "a", Network: h.net, Dir: f, State: h.state})
			if err == nil {
				boot, err = 2, a.Take(after)
			}
			b := agentAt(t, h, d.Crashed(rand.New(rand.NewPCG(uint64(step), uint64(mode)))))
			s := b.Status()
			if s.Boot <= boot || s.Epoch != 3 && s.Epoch != 4 || err == nil && s.Epoch != 4 {
				t.Fatalf("step %d %v (error %v): after the crash %+v", step, mode, err, s)
			}
			if !f.Crashed() {
				break
			}
		}
	}
}
