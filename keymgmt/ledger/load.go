package ledger

import (
	"fmt"
	"os"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Names of the files in a ledger's directory.
const (
	marksName = "marks"
	marksTemp = "marks.tmp"
	tableName = "blocks"
)

func padName(id int) string { return fmt.Sprintf("lane%d.pad", id) }

// load opens the files, making them first if need be, and repairs.
func (l *Ledger) load() error {
	if _, err := l.cfg.FS.Stat(marksName); qsc.IsKind(err, qsc.NotFound) {
		if err := l.create(); err != nil {
			return l.wrap("ledger.Open", err)
		}
	} else if err != nil {
		return l.wrap("ledger.Open", err)
	}
	rec, err := l.openMarks()
	if err != nil {
		return err
	}
	if err := l.openTable(); err != nil {
		return err
	}
	slots, err := l.readTable()
	if err != nil {
		return err
	}
	l.saved, l.class = rec, rec.class
	for id := range l.lanes {
		r, err := l.openRing(id)
		if err != nil {
			return err
		}
		l.lanes[id] = restore(otp.Lane(id), sends(otp.Lane(id), l.cfg.End), l.u, r, slots[id], rec)
		l.lanes[id].dropTail()
		l.class |= l.lanes[id].weakest()
	}
	return l.wrap("ledger.Open", l.sweep(everyLane))
}

// bad is damage: nothing of the directory is served.
func (l *Ledger) bad(name, format string, args ...any) error {
	return qsc.E("ledger.Open", qsc.Corrupt, string(l.cfg.Link), "%s %s: the key in this directory is lost; remove it at both ends and run \"qsc link provision %s\"", name, fmt.Sprintf(format, args...), l.cfg.Link)
}

// openFile opens a file that must have exactly size bytes.
func (l *Ledger) openFile(name string, size int64) (durable.File, error) {
	f, err := l.cfg.FS.Open(name, os.O_RDWR, 0)
	if qsc.IsKind(err, qsc.NotFound) {
		return nil, l.bad(name, "is missing")
	}
	if err != nil {
		return nil, l.wrap("ledger.Open", err)
	}
	have, err := f.Size()
	if err == nil && have != size {
		err = l.bad(name, "has %d bytes, not %d", have, size)
	}
	if err != nil {
		f.Close()
		return nil, l.wrap("ledger.Open", err)
	}
	return f, nil
}

func (l *Ledger) openMarks() (rec record, err error) {
	f, err := l.openFile(marksName, marksSize)
	if err != nil {
		return rec, err
	}
	l.marks = &marksFile{f: f}
	rec, found, err := l.marks.read()
	switch {
	case err != nil:
		return rec, l.wrap("ledger.Open", err)
	case !found:
		return rec, l.bad(marksName, "holds no whole record")
	}
	want := l.blank()
	if rec.link != want.link || rec.end != want.end || rec.epoch != want.epoch || rec.block != want.block || rec.slots != want.slots {
		return rec, qsc.E("ledger.Open", qsc.Conflict, string(l.cfg.Link),
			"the directory is of link %q, end %d, epoch %d, blocks of %d bytes and rings of %d blocks, not of link %q, end %d, epoch %d, blocks of %d and rings of %d: name the right directory, or remove it and provision anew",
			rec.link, rec.end, rec.epoch, rec.block, rec.slots, want.link, want.end, want.epoch, want.block, want.slots)
	}
	for i, r := range rec.lanes {
		if r.mark < r.pos || r.erased > r.pos || r.mark >= noEnd || (r.mark|r.pos|r.erased)%otp.Align != 0 {
			return rec, l.bad(marksName, "says impossible things of lane %d", i)
		}
	}
	return rec, nil
}

// blank is the first record of an empty ledger.
func (l *Ledger) blank() record {
	r := record{seq: 1, end: uint8(l.cfg.End), epoch: l.cfg.Epoch, block: uint64(l.cfg.Block), link: string(l.cfg.Link)}
	for id := range r.slots {
		r.slots[id] = l.cfg.slots(otp.Lane(id))
	}
	return r
}

func (l *Ledger) openTable() error {
	t := &table{}
	for id := range keymgmt.Lanes {
		t.base[id] = t.size / recordSize
		t.size += int64(l.cfg.slots(otp.Lane(id))) * recordSize
	}
	f, err := l.openFile(tableName, t.size)
	if err != nil {
		return err
	}
	t.f, l.table = f, t
	return nil
}

// readTable reads and checks every record.
func (l *Ledger) readTable() (lanes [keymgmt.Lanes][]block, err error) {
	p := make([]byte, recordSize)
	defer clear(p)
	for id := range lanes {
		lanes[id] = make([]block, l.cfg.slots(otp.Lane(id)))
		for s := range lanes[id] {
			if _, err := l.table.f.ReadAt(p, (l.table.base[id]+int64(s))*recordSize); err != nil {
				return lanes, l.wrap("ledger.Open", err)
			}
			b, ok := parseBlock(p)
			if !ok || b.state != empty && (b.index%uint64(len(lanes[id])) != uint64(s) || b.index >= noEnd/l.u) {
				return lanes, l.bad(tableName, "is damaged at lane %d, slot %d", id, s)
			}
			lanes[id][s] = b
		}
	}
	return lanes, nil
}

func (l *Ledger) openRing(id int) (*ring, error) {
	size := int64(l.cfg.slots(otp.Lane(id)) * l.u)
	f, err := l.openFile(padName(id), size)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping stays
	m, err := f.Map(0, size)
	if err != nil {
		return nil, l.wrap("ledger.Open", err)
	}
	return newRing(m), nil
}

// restore brings a lane back from its table and the last durable marks. After
// a crash the stretch between the exact position of those marks and the mark
// made ahead is burnt; so are the blocks that came or were burnt since, where
// they lie below.
func restore(id otp.Lane, send bool, u uint64, r *ring, slots []block, rec record) *lane {
	m := rec.lanes[id]
	n := &lane{id: id, u: u, ring: r, slot: slots, next: m.mark, mark: m.mark, nextIndex: m.nextIndex,
		ordinal: m.ordinal, seen: m.seen, open: map[uint64]*extent{}, account: counters{m.produced, m.used, m.burnt}}
	if !send {
		n.win = otp.NewWindow(m.mark, gaps)
	}
	crashed := -m.above
	for s := range n.slot {
		b := &n.slot[s]
		if b.state != present && b.state != burnt {
			continue
		}
		from, to := b.index*u, (b.index+1)*u
		erased := m.erased
		if b.ordinal > m.ordinal { // came after those marks
			n.account.produced += int64(u)
			n.ordinal = max(n.ordinal, b.ordinal)
			crashed += overlap(0, m.pos, from, u)
			erased = 0
		}
		n.nextIndex = max(n.nextIndex, b.index+1)
		switch {
		case b.state == present:
			crashed += overlap(m.pos, m.mark, from, u)
			n.erase(max(from, erased), min(to, m.mark))
		case b.burnSeq > rec.seq: // not yet in the counters
			crashed += overlap(m.pos, noEnd, from, u)
			fallthrough
		default:
			n.erase(max(from, erased), to)
		}
	}
	n.account.burnt += crashed
	return n
}

// erase queues what durable marks or records say is dead.
func (n *lane) erase(from, to uint64) {
	if from < to {
		n.out = append(n.out, &extent{from: from, to: to, done: true, zero: true})
	}
}
