package supply

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// TestMatrix runs one life of a pair of supplies and fails each persisting step
// of either in each mode, with and without a crash, under the oracle of the
// model. Without QSC_LONG=1 it takes every thirteenth step.
func TestMatrix(t *testing.T) {
	stride := int64(13)
	if os.Getenv("QSC_LONG") != "" {
		stride = 1
	}
	for end := range 2 {
		for _, mode := range durable.Modes() {
			for _, crash := range []bool{false, true} {
				t.Run(fmt.Sprintf("end=%d,%v,crash=%v", end, mode, crash), func(t *testing.T) {
					for step := 1 + int64(mode); life(t, end, durable.Plan{Step: step, Mode: mode, Crash: crash}); step += stride {
					}
				})
			}
		}
	}
}

// life reports whether the planned step was reached.
func life(t *testing.T, end int, p durable.Plan) bool {
	m := newModel(t, uint64(p.Step))
	m.calm, m.planned = true, true
	faults := m.node[end].faults
	faults.Arm(p)
	for range 120 {
		m.step()
	}
	for i := range m.node {
		if m.node[i].faults == faults {
			_ = m.node[i].s.sweep(false)
		}
	}
	reached := faults.Crashed() || faults.Steps() >= p.Step
	m.finish()
	return reached
}

// copyDisk is a backup of a node that has been closed in order.
func copyDisk(d *durable.Disk) *durable.Disk { return d.Crashed(nil) }

// TestRestoredMaster: a master's node that comes back from a backup issues none
// of the keys again that the slave's node has heard of.
func TestRestoredMaster(t *testing.T) {
	for _, makes := range []bool{true, false} {
		t.Run(fmt.Sprintf("makes=%v", makes), func(t *testing.T) { restoredMaster(t, makes) })
	}
}

// restoredMaster: between backup and return the node makes new segments, or only
// issues from those it has.
func restoredMaster(t *testing.T, makes bool) {
	m := newModel(t, 1)
	m.calm = true
	m.warm()
	for range 10 {
		m.make(0)
		m.talk()
	}
	must(t, m.node[0].s.Close())
	backup := copyDisk(m.node[0].disk)
	before := len(m.issued)
	m.open(0)
	m.talk()
	for range 5 {
		m.issue(0) // the oracle sees key that comes again
		if makes {
			m.make(0)
		}
		m.talk()
	}
	was := len(m.issued)
	if was == before {
		t.Fatal("nothing was issued since the backup: the test shows nothing")
	}
	must(t, m.node[0].s.Close())
	m.node[0].disk = backup
	m.open(0)
	if !makes {
		m.restart(1, false) // and has forgotten which start spoke last
	}
	for range 60 {
		m.issue(0)
		m.make(0)
		m.talk()
	}
	if len(m.issued) == was {
		t.Fatal("the restored node never issues again")
	}
	if !strings.Contains(strings.Join(m.node[0].s.Status().Alarms, " "), "backup") {
		t.Fatal("nobody is told of the restored backup")
	}
}

// TestRestoredSlave: a slave's node that comes back from a backup gives out none
// of the keys again.
func TestRestoredSlave(t *testing.T) {
	m := newModel(t, 2)
	m.calm = true
	m.warm()
	must(t, m.node[1].s.Close())
	backup := copyDisk(m.node[1].disk)
	m.open(1)
	m.talk()
	for range 100 {
		m.fetch()
	}
	m.talk()
	must(t, m.node[1].s.Close())
	m.node[1].disk = backup
	m.open(1)
	for range 100 {
		m.fetch() // the oracle sees a key that comes again
		m.issue(0)
		m.make(0)
		m.talk()
	}
	if !strings.Contains(strings.Join(m.node[1].s.Status().Alarms, " "), "backup") {
		t.Fatal("nobody is told of the restored backup")
	}
}

// warm gets some keys issued from a to b.
func (m *model) warm() {
	for len(m.issued) < 40 {
		m.issue(0)
		m.make(0)
		m.talk()
	}
}

// TestUnfetchedKeyExpires: it is counted, alarmed, erased and not given out.
func TestUnfetchedKeyExpires(t *testing.T) {
	m := newModel(t, 3)
	m.calm = true
	m.warm()
	m.now = m.now.Add(time.Hour + time.Second)
	b := m.node[1].s
	must(t, b.sweep(false))
	must(t, m.node[0].s.sweep(false))
	for _, id := range m.order {
		k := m.issued[id]
		for _, slave := range k.slaves {
			_, err := m.at(slave).Fetch(gone, keymgmt.FetchRequest{Master: k.master, Slave: slave, IDs: []qsc.KeyID{id}})
			if !qsc.IsKind(err, qsc.NotFound) && slave == k.slaves[0] || err == nil {
				t.Fatalf("expired key: %v", err)
			}
			k.fetched[slave] = true // for erased
		}
	}
	if s := b.Status(); s.Expired == 0 || s.Total.Expired != s.Expired || len(s.Alarms) == 0 {
		t.Fatalf("expired key is not told of: %+v", s)
	}
	m.talk()
	m.erased()
}

// TestDiskFull: nothing is given out unmarked, and all goes on with room again.
func TestDiskFull(t *testing.T) {
	m := newModel(t, 4)
	m.calm = true
	m.warm()
	for i := range m.node {
		for step := int64(1); step < 40; step++ {
			m.node[i].faults.Arm(durable.Plan{Step: step, Mode: durable.Full})
			for range 10 {
				m.step()
			}
		}
		m.node[i].faults.Arm(durable.Plan{})
	}
	time.Sleep(journalRetry) // the pause before a broken journal is tried again
	m.finish()
}

// TestDamagedJournal: no journal with marks missing is opened.
func TestDamagedJournal(t *testing.T) {
	m := newModel(t, 5)
	m.calm = true
	m.warm()
	for range 50 {
		m.fetch()
	}
	n := m.node[1]
	gens, err := generations(n.disk)
	must(t, err)
	f, err := n.disk.Open(nameOf(slices.Max(gens)), os.O_RDWR, 0)
	must(t, err)
	head := make([]byte, sector)
	_, err = f.ReadAt(head, 0)
	must(t, err)
	_, _, ok := parseFrame(slices.Max(gens), head)
	damage := []int64{0, 0}
	if ok {
		damage = []int64{0, sector} // the first batch is small
	}
	for _, at := range damage {
		d := n.disk.Crashed(nil)
		f, err := d.Open(nameOf(slices.Max(gens)), os.O_RDWR, 0)
		must(t, err)
		b := make([]byte, 1)
		_, err = f.ReadAt(b, at+40)
		must(t, err)
		b[0] ^= 1
		_, err = f.WriteAt(b, at+40)
		must(t, err)
		_, err = Open(Config{Node: "b", FS: d, Directory: &directory{}, First: 512, Segment: 4096, Chunk: 4096,
			Limits: keymgmt.Limits{KeySize: 256, MinSize: 64, MaxSize: 1024, MaxPerRequest: 16}, tick: -1})
		want(t, err, qsc.Corrupt)
	}
}

// TestWant: key of a weaker class is refused, not given.
func TestWant(t *testing.T) {
	a, _ := two(t, false, nil)
	_, err := a.Issue(t.Context(), ask("a1", "b1", 1)) // more than that is made at once
	must(t, err)
	r := ask("a1", "b1", 1)
	r.Want = qsc.ITS
	_, err = a.Issue(gone, r)
	want(t, err, qsc.Exhausted)
	if !strings.Contains(err.Error(), "weaker class") {
		t.Fatalf("the text does not say why: %v", err)
	}
	var b [64]byte
	_, err = a.Random(t.Context(), b[:], qsc.ITS)
	want(t, err, qsc.Exhausted)
	class, err := a.Random(t.Context(), b[:], qsc.OSRandom)
	must(t, err)
	if class != qsc.OSRandom {
		t.Fatalf("class %v", class)
	}
}
