package manage

import (
	"slices"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// country is the 1,000 nodes of the built-in network with ten demands each, all
// heard once.
func country(b *testing.B) (*Core, func(id qsc.NodeID, down qsc.LinkID) control.Report) {
	net, err := topology.Load("backbone-1000")
	if err != nil {
		b.Fatal(err)
	}
	core, err := NewCore(CoreConfig{Network: net, Epoch: 1})
	if err != nil {
		b.Fatal(err)
	}
	seq := uint64(0)
	at := map[qsc.NodeID]int{}
	for i, n := range net.Nodes {
		at[n.ID] = i
	}
	report := func(id qsc.NodeID, down qsc.LinkID) control.Report {
		seq++
		r := control.Report{Node: id, Boot: 1, Seq: seq}
		for _, l := range net.LinksOf(id) {
			r.Links = append(r.Links, control.LinkState{Link: l.ID, Up: l.ID != down, Send: l.Pad, Recv: l.Pad, Size: l.Pad, Rate: max(l.Rate, 1e5), Kind: l.Kind})
		}
		for k := range 10 {
			to := net.Nodes[(at[id]+37+91*k)%len(net.Nodes)].ID
			r.Demands = append(r.Demands, control.Demand{From: id, To: to, Protection: keymgmt.Protection{Paths: 3, Need: 2}, Max: 1e5})
		}
		return r
	}
	for _, n := range net.Nodes {
		if err := core.Report(report(n.ID, "")); err != nil {
			b.Fatal(err)
		}
	}
	return core, report
}

// All tables of a new controller: 10,000 demands over three paths each.
func BenchmarkCoreFull1000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		core, _ := country(b)
		b.StartTimer()
		if n := len(core.Tables(0)); n != 1000 {
			b.Fatalf("%d tables", n)
		}
	}
}

// From the report of a cut to the tables of all nodes concerned.
func BenchmarkCoreCut1000(b *testing.B) {
	core, report := country(b)
	core.Tables(0)
	now, told, i := time.Duration(0), 0, 0
	links := slices.Clone(core.net.Links)
	for b.Loop() {
		l := links[i%len(links)]
		i++
		now += time.Millisecond
		if err := core.Report(report(l.Ends[0], l.ID)); err != nil {
			b.Fatal(err)
		}
		told += len(core.Tables(now))
		b.StopTimer()
		if err := core.Report(report(l.Ends[0], "")); err != nil {
			b.Fatal(err)
		}
		core.Tables(now)
		b.StartTimer()
	}
	b.ReportMetric(float64(told)/float64(b.N), "tables/op")
}
