package keymgmttest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// brief is a context for calls that should not wait long for key.
func (m *model) brief() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
	m.t.Cleanup(cancel)
	return ctx
}

// restart stops an end, by crash or in order, opens it again and connects.
func (m *model) restart(i int, crash bool) {
	e := m.end[i]
	if crash {
		e.faults.Arm(durable.Plan{Step: 1, Crash: true})
		_ = e.faults.SyncDir(".") // whatever comes next, the process is dead
	}
	err := e.ledger.Close()
	if err != nil && !m.injected(i, err) {
		m.t.Fatalf("close of end %d: %v", i, err)
	}
	if e.faults.Crashed() {
		e.disk = e.disk.Crashed(m.r)
	}
	m.start(i)
	m.balanced(i)
	m.reconnect(false)
}

// reconnect is a handshake under control slots and a reconciliation, in a
// session taken up again or in a new one.
func (m *model) reconnect(resume bool) {
	for i := range m.end {
		if !m.handshake(i) {
			return
		}
	}
	var marks [2]keymgmt.Marks
	for i, e := range m.end {
		marks[i] = e.ledger.Marks()
	}
	if resume {
		for _, f := range m.wire {
			lane := &marks[f.lane].Lanes[f.lane] // data lane i is sent by end i
			lane.Floor = min(lane.Floor, f.from)
		}
	} else {
		m.past = append(m.past, m.wire...)
		m.wire = nil
	}
	for i, e := range m.end {
		if err := e.ledger.Reconcile(marks[1-i]); err != nil {
			if !m.injected(i, err) {
				m.t.Fatalf("reconcile at end %d: %v", i, err)
			}
			return
		}
	}
	m.agreed(resume)
}

// agreed checks what both ends hold after a reconciliation.
func (m *model) agreed(resume bool) {
	for lane := range keymgmt.Lanes {
		send, recv := m.end[lane%2].ledger.Marks().Lanes[lane], m.end[1-lane%2].ledger.Marks().Lanes[lane]
		if recv.Floor > send.Floor || !resume && lane < 2 && recv.Floor != send.Floor {
			m.t.Fatalf("lane %d: the sender is at %d, the receiver's floor is %d", lane, send.Floor, recv.Floor)
		}
	}
}

// handshake sends one control slot from end i to the other.
func (m *model) handshake(i int) bool {
	pad, err := m.end[i].ledger.Reserve(m.brief(), keymgmt.Control, 0, 0)
	if err != nil {
		if !qsc.IsKind(err, qsc.Exhausted) && !qsc.IsKind(err, qsc.Timeout) && !m.injected(i, err) {
			m.t.Fatalf("handshake key at end %d: %v", i, err)
		}
		return false
	}
	if pad.Len() != keymgmt.SlotSize {
		m.t.Fatalf("a handshake slot of %d bytes", pad.Len())
	}
	f := m.seal(i, pad)
	m.past = append(m.past, f)
	m.receive(f)
	return f.opened
}

// flush makes an end erase, and looks at what a disk thief would find.
func (m *model) flush(i int) {
	e := m.end[i]
	if err := e.ledger.Flush(context.Background()); err != nil {
		if !m.injected(i, err) {
			m.t.Fatalf("flush at end %d: %v", i, err)
		}
		return
	}
	if e.faults.Crashed() {
		return
	}
	raw := contents(m.t, e.disk.Crashed(nil))
	for _, list := range [][]stretch{e.sent, e.got} {
		for _, s := range list {
			if bytes.Contains(raw, truth(s.lane, s.from, min(s.to, s.from+24))) {
				m.t.Fatalf("end %d: used key %d+%d of lane %d is still on the disk", i, s.from, s.to-s.from, s.lane)
			}
		}
	}
}

func contents(t testing.TB, d *durable.Disk) (all []byte) {
	list, err := d.ReadDir(".")
	must(t, err)
	for _, f := range list {
		file, err := d.Open(f.Name(), 0, 0)
		must(t, err)
		n, err := file.Size()
		must(t, err)
		b := make([]byte, n)
		_, err = file.ReadAt(b, 0)
		must(t, err)
		all = append(all, b...)
	}
	return all
}

func (m *model) balanced(i int) {
	s := m.end[i].ledger.Status()
	for lane, a := range s.Lanes {
		if !a.Balanced() || a.Left < 0 || a.Used < 0 || a.Burnt < 0 || a.Erased < 0 || a.Erased > a.Used+a.Burnt {
			m.t.Fatalf("end %d: the book of lane %d does not close: %+v", i, lane, a)
		}
	}
}

// finish brings both ends to rest and compares their books with the truth.
func (m *model) finish() {
	for i, e := range m.end {
		e.faults.Arm(durable.Plan{})
		for e.faults.Crashed() {
			m.restart(i, true)
			e.faults.Arm(durable.Plan{})
		}
	}
	m.reconnect(false)
	for i := range m.end {
		m.balanced(i)
		m.allErased(i)
	}
	for _, e := range m.end {
		must(m.t, e.ledger.Close())
	}
}

// allErased checks that everything used and burnt is overwritten. A block that
// comes in late may add to it in between, a few times.
func (m *model) allErased(i int) {
	for range 20 {
		m.flush(i)
		erased := true
		for _, a := range m.end[i].ledger.Status().Lanes {
			erased = erased && a.Erased == a.Used+a.Burnt
		}
		if erased {
			return
		}
	}
	m.t.Fatalf("end %d: used key stays on the disk: %+v", i, m.end[i].ledger.Status().Lanes)
}
