package supply

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// model drives two supplies without a clock or a goroutine of their own, over a
// relay that loses rounds before and after delivery and messages of every kind,
// repeats and reorders them; disks fail and nodes crash at any persisting step.
//
// Its oracle: no identifier and no key byte is issued twice or fetched twice, what
// is fetched is what was issued, nobody gets what is not his, and books close.
type model struct {
	t       *testing.T
	r       *rand.Rand
	net     *network
	now     time.Time
	node    [2]*modelNode
	calm    bool
	issued  map[qsc.KeyID]*modelKey
	order   []qsc.KeyID
	bytes   map[string]bool // ever issued
	got     map[string]bool // ever fetched
	chunks  [2]map[string]bool
	steps   int64
	last    []keymgmt.FetchRequest // the latest that went well
	index   [2]uint32              // of the latest chunk at each node
	planned bool                   // a step fails by plan
}

type modelNode struct {
	name   qsc.NodeID
	disk   *durable.Disk
	faults *durable.Faults
	s      *Supply
	app    *appStream
}

type modelKey struct {
	master  qsc.AppID
	slaves  []qsc.AppID
	key     []byte
	fetched map[qsc.AppID]bool
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, r: rand.New(rand.NewPCG(seed, 3)), net: newNetwork(), now: time.Unix(1000, 0), issued: map[qsc.KeyID]*modelKey{},
		bytes: map[string]bool{}, got: map[string]bool{}, chunks: [2]map[string]bool{{}, {}}}
	m.net.hold = true
	m.net.fate = func() (bool, bool) {
		return m.calm || m.r.IntN(6) > 0, m.calm || m.r.IntN(6) > 0
	}
	for i, name := range []qsc.NodeID{"a", "b"} {
		m.node[i] = &modelNode{name: name, disk: durable.Mem(64 << 20)}
		m.open(i)
	}
	return m
}

// open opens node i, crashing it on the way now and then.
func (m *model) open(i int) {
	n := m.node[i]
	n.app = nil
	for {
		n.faults = durable.Faulty(n.disk, durable.Plan{})
		if !m.calm && m.r.IntN(6) == 0 {
			n.faults.Arm(m.plan(12))
		}
		s, err := Open(Config{Node: n.name, FS: n.faults, Directory: &directory{}, Relay: port{m.net, n.name}, Now: func() time.Time { return m.now },
			First: 512, Segment: 4096, Chunk: 4096, Max: 8192, Wait: time.Nanosecond, TTL: time.Hour, tick: -1, room: 16 << 10,
			Limits: keymgmt.Limits{KeySize: 256, MinSize: 64, MaxSize: 1024, MaxPerRequest: 16, MaxSlaves: 2}})
		if err == nil {
			n.s = s
			m.net.at[n.name] = s
			return
		}
		if n.faults.Steps() == 0 || qsc.IsKind(err, qsc.Corrupt) || m.calm {
			m.t.Fatalf("node %s does not open: %v", n.name, err)
		}
		n.disk = n.disk.Crashed(m.r)
	}
}

func (m *model) plan(most int) durable.Plan {
	return durable.Plan{Step: 1 + m.r.Int64N(int64(most)), Mode: durable.Modes()[m.r.IntN(len(durable.Modes()))], Crash: m.r.IntN(2) == 0}
}

// restart ends node i in order or by a crash and opens it again.
func (m *model) restart(i int, crash bool) {
	n := m.node[i]
	if crash {
		n.faults.Arm(durable.Plan{Step: 1, Crash: true})
		_ = n.faults.SyncDir(".")
	}
	err := n.s.Close()
	if err != nil && m.calm && !m.planned && !n.faults.Crashed() {
		m.t.Fatalf("close: %v", err)
	}
	balanced(m.t, n.s)
	m.steps += n.faults.Steps()
	if n.faults.Crashed() {
		n.disk = n.disk.Crashed(m.r)
	}
	m.open(i)
	balanced(m.t, n.s)
	if crash && m.r.IntN(2) == 0 {
		m.again(i)
	}
}

// again asks a node that has crashed for what it gave out last.
func (m *model) again(i int) {
	for range 20 {
		m.speak(0)
		m.speak(1)
		for range 20 {
			m.deliver()
		}
	}
	for _, r := range m.last {
		m.ask(r, false, true)
	}
	m.get(i, m.index[i])
}

// step does one thing.
func (m *model) step() {
	i := m.r.IntN(2)
	n := m.node[i]
	m.now = m.now.Add(time.Duration(m.r.IntN(200)) * time.Millisecond)
	switch k := m.r.IntN(20); {
	case k < 4:
		m.issue(i)
	case k < 8:
		m.fetch()
	case k < 10:
		m.make(i)
	case k < 14:
		m.deliver()
	case k < 15:
		m.speak(i)
	case k < 16:
		_ = n.s.sweep(false)
	case k < 18:
		m.chunk(i)
	case !m.calm && k == 18:
		n.faults.Arm(m.plan(8))
	case !m.calm:
		m.restart(i, m.r.IntN(2) == 0)
	}
	for i, n := range m.node {
		if n.faults.Crashed() {
			m.restart(i, true)
		}
	}
}

// gone is the context of a caller that does not wait.
var gone = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (m *model) issue(i int) {
	n := m.node[i]
	r := keymgmt.KeyRequest{Master: qsc.AppID(n.name) + "1", Slaves: []qsc.AppID{qsc.AppID(m.node[1-i].name) + qsc.AppID(rune('1'+m.r.IntN(2)))},
		Number: 1 + m.r.IntN(6), Size: []qsc.Bits{128, 256, 256, 256, 712}[m.r.IntN(5)], Want: keymgmt.AnyClass}
	if m.r.IntN(4) == 0 {
		r.Slaves = []qsc.AppID{qsc.AppID(m.node[1-i].name) + "1", qsc.AppID(m.node[1-i].name) + "2", qsc.AppID(n.name) + "2"}[:2+m.r.IntN(2)]
	}
	k, err := n.s.Issue(gone, r)
	if err != nil {
		if qsc.IsKind(err, qsc.Denied) || qsc.IsKind(err, qsc.Invalid) {
			m.t.Fatalf("issue: %v", err)
		}
		return
	}
	for j, id := range k.IDs {
		key := slices.Clone(k.Bytes.Expose()[j*k.Size : (j+1)*k.Size])
		if m.issued[id] != nil {
			m.t.Fatal("an identifier was issued twice")
		}
		for at := 0; at+8 <= len(key); at += 8 {
			if m.bytes[string(key[at:at+8])] {
				m.t.Fatal("key was issued twice")
			}
			m.bytes[string(key[at:at+8])] = true
		}
		m.issued[id] = &modelKey{master: r.Master, slaves: r.Slaves, key: key, fetched: map[qsc.AppID]bool{}}
		m.order = append(m.order, id)
	}
}

// fetch asks for a few keys of one pair, sometimes for the wrong one, sometimes
// again.
func (m *model) fetch() {
	if len(m.order) == 0 {
		return
	}
	first := m.r.IntN(len(m.order))
	if m.r.IntN(2) == 0 {
		first = max(0, len(m.order)-1-m.r.IntN(8))
	}
	k := m.issued[m.order[first]]
	r := keymgmt.FetchRequest{Master: k.master, Slave: k.slaves[m.r.IntN(len(k.slaves))]}
	for _, id := range m.order[first:min(len(m.order), first+1+m.r.IntN(4))] {
		if x := m.issued[id]; x.master == k.master && slices.Contains(x.slaves, r.Slave) && len(x.key) == len(k.key) {
			r.IDs = append(r.IDs, id)
		}
	}
	several := slices.ContainsFunc(r.IDs, func(id qsc.KeyID) bool { return len(m.issued[id].slaves) > 1 })
	wrong := m.r.IntN(8) == 0
	if wrong {
		r.Slave = r.Slave[:1] + "9"
	}
	m.ask(r, wrong, several)
}

// ask is one Fetch under the oracle.
func (m *model) ask(r keymgmt.FetchRequest, wrong, several bool) {
	got, err := m.at(r.Slave).Fetch(gone, r)
	if err != nil {
		if qsc.IsKind(err, qsc.Denied) && !wrong && !several {
			m.t.Fatalf("the right slave is denied: %v", err)
		}
		return
	}
	if wrong {
		m.t.Fatal("a stranger has fetched a key")
	}
	m.last = append(m.last[max(0, len(m.last)-3):], r)
	for j, id := range r.IDs {
		x, key := m.issued[id], got.Bytes.Expose()[j*got.Size:(j+1)*got.Size]
		if x.fetched[r.Slave] || m.got[string(r.Slave)+string(key)] {
			m.t.Fatal("a key was fetched twice")
		}
		if !bytes.Equal(key, x.key) {
			m.t.Fatal("what was fetched is not what was issued")
		}
		x.fetched[r.Slave], m.got[string(r.Slave)+string(key)] = true, true
	}
}

func (m *model) at(app qsc.AppID) *Supply {
	if app[0] == 'a' {
		return m.node[0].s
	}
	return m.node[1].s
}

// make runs a round on one of node i's streams that wants one.
func (m *model) make(i int) {
	s := m.node[i].s
	s.mu.Lock()
	var list []*stream
	for _, st := range s.streams {
		if _, yes := s.hungry(st); yes {
			list = append(list, st)
		}
	}
	slices.SortFunc(list, func(a, b *stream) int { return int(a.num) - int(b.num) })
	if len(list) == 0 {
		s.mu.Unlock()
		return
	}
	st := list[m.r.IntN(len(list))]
	size, _ := s.hungry(st)
	n, round := s.begin(st, size)
	s.mu.Unlock()
	s.round(st, n, size, round)
}

// speak lets node i say what it has to say.
func (m *model) speak(i int) {
	s := m.node[i].s
	s.mu.Lock()
	var list []*stream
	for _, st := range s.streams {
		list = append(list, st)
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b *stream) int { return int(a.num) - int(b.num) })
	for _, st := range list {
		if st.role == master {
			s.sendSync(st)
		} else {
			s.ask(st)
		}
		if st.app != nil {
			s.announce(st)
		}
	}
}

// deliver brings a message that waits, the oldest or any, and keeps it for
// another time now and then.
func (m *model) deliver() {
	if len(m.net.mail) == 0 {
		return
	}
	k := 0
	if !m.calm && m.r.IntN(3) == 0 {
		k = m.r.IntN(len(m.net.mail))
	}
	x := m.net.mail[k]
	if m.calm || m.r.IntN(5) > 0 {
		m.net.mail = slices.Delete(m.net.mail, k, k+1)
	}
	if !m.calm && m.r.IntN(5) == 0 {
		return
	}
	m.node[x.body[0]-'a'].s.take(told{x.from, x.topic, x.body[1:]})
	if over := len(m.net.mail) - 200; over > 0 {
		m.net.mail = m.net.mail[over:]
	}
}

var modelStream = [16]byte{5, 5, 5}

// chunk takes a chunk of the one application stream at node i, opening it first.
func (m *model) chunk(i int) {
	m.get(i, uint32(m.r.IntN(8)+len(m.chunks[i])*9/10))
}

// get asks for one chunk under the oracle.
func (m *model) get(i int, index uint32) {
	n := m.node[i]
	if n.app == nil {
		e, err := n.s.OpenStream(gone, keymgmt.StreamRequest{Source: qsc.AppID(n.name) + "1", Destination: qsc.AppID(m.node[1-i].name) + "1",
			ID: modelStream, QoS: keymgmt.QoS{ChunkSize: 600}})
		if err != nil {
			return
		}
		n.app = e.(*appStream)
	}
	b := make([]byte, 600)
	if _, err := n.app.Get(gone, index, b); err != nil {
		n.s.mu.Lock()
		if n.app.end().dropped {
			n.app = nil
		}
		n.s.mu.Unlock()
		return
	}
	if m.chunks[i][string(b)] {
		m.t.Fatal("a chunk was given twice to one end")
	}
	m.chunks[i][string(b)], m.index[i] = true, index
}

// finish heals all, lets both talk and checks that keys go through again.
func (m *model) finish() {
	m.calm, m.planned = true, false
	for i, n := range m.node {
		n.faults.Arm(durable.Plan{})
		m.restart(i, n.faults.Crashed())
	}
	m.net.mail = nil
	for range 3 {
		m.talk()
	}
	m.now = m.now.Add(2 * time.Hour) // what nobody fetched may fill the stock
	for _, n := range m.node {
		must(m.t, n.s.sweep(false))
	}
	before := len(m.got)
	for range 400 {
		m.step()
	}
	if len(m.got) == before {
		m.t.Fatal("after all faults have ended no key goes through")
	}
	m.erased()
	for _, n := range m.node {
		must(m.t, n.s.Close())
		balanced(m.t, n.s)
	}
}

// talk lets both say all they have to say.
func (m *model) talk() {
	for i := range m.node {
		m.speak(i)
	}
	for len(m.net.mail) > 0 {
		m.deliver()
	}
}

// erased looks for fetched key on both disks.
func (m *model) erased() {
	for _, n := range m.node {
		must(m.t, n.s.sweep(true))
		must(m.t, n.s.sweep(true))
		var all []byte
		for _, name := range []string{"pool", "apps"} {
			f, err := n.disk.Crashed(nil).Open(name, os.O_RDWR, 0)
			must(m.t, err)
			size, _ := f.Size()
			b := make([]byte, size)
			_, _ = f.ReadAt(b, 0)
			all = append(all, b...)
		}
		checked := 0
		for _, id := range slices.Backward(m.order) {
			if k := m.issued[id]; len(k.fetched) == len(k.slaves) && checked < 40 {
				checked++
				if bytes.Contains(all, k.key) {
					m.t.Fatalf("node %s: key that was fetched is still on the disk", n.name)
				}
			}
		}
	}
}

func TestModel(t *testing.T) {
	seeds := 30
	if os.Getenv("QSC_LONG") != "" {
		seeds = 3000
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			m := newModel(t, uint64(seed))
			for range 600 {
				m.step()
			}
			m.finish()
		})
	}
}
