package ledger

// commit makes the present state durable, if prepare says that it must be.
// prepare runs under mu and gets the number of the record to be written.
//
// Order of system calls:
//  1. changed table records (burns), then fdatasync of the table;
//  2. the marks record, twice, then fdatasync of the marks.
//
// A crash between the two leaves burn records that name a marks record yet to
// come; restore counts them then.
func (l *Ledger) commit(prepare func(seq uint64) bool) error {
	l.commitMu.Lock()
	defer l.commitMu.Unlock()
	l.mu.Lock()
	l.marks.seq++
	if !prepare(l.marks.seq) {
		l.mu.Unlock()
		return nil
	}
	rec, dirty := l.snapshot(l.marks.seq), l.dirty()
	for i, n := range l.lanes {
		n.target = 0
		n.mark = min(n.mark, rec.lanes[i].mark) // whatever reaches the disk, nothing above is handed out
	}
	l.mu.Unlock()
	if err := l.table.write(dirty); err != nil {
		return err
	}
	l.mu.Lock()
	for _, e := range dirty {
		l.lanes[e.lane].slot[e.slot].dirty = false
	}
	l.mu.Unlock()
	if err := l.marks.write(rec); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saved = rec
	for i, n := range l.lanes {
		n.mark = rec.lanes[i].mark
	}
	return nil
}

// snapshot is the marks record of this moment. mu is held.
func (l *Ledger) snapshot(seq uint64) record {
	r := record{seq: seq, end: uint8(l.cfg.End), class: l.class, epoch: l.cfg.Epoch,
		block: uint64(l.cfg.Block), link: string(l.cfg.Link)}
	for i, n := range l.lanes {
		r.slots[i] = uint64(len(n.slot))
		r.lanes[i] = laneRecord{
			pos: n.floor(), mark: max(n.mark, n.top(), n.target), erased: n.erased(),
			nextIndex: n.nextIndex, ordinal: n.ordinal, seen: n.seen,
			produced: n.account.produced, used: n.account.used, burnt: n.account.burnt, above: n.above(),
		}
	}
	return r
}

// dirty returns the table records to be written. mu is held.
func (l *Ledger) dirty() (list []entry) {
	for i, n := range l.lanes {
		for s := range n.slot {
			if n.slot[s].dirty {
				list = append(list, entry{i, s, n.slot[s]})
			}
		}
	}
	return list
}

// differs reports whether the state in memory is not what is saved. mu is held.
func (l *Ledger) differs() bool {
	return l.snapshot(l.saved.seq) != l.saved || len(l.dirty()) > 0
}

// markUpTo makes everything of the lane below target durably used, and
// something beyond it when the lane is under load.
func (l *Ledger) markUpTo(n *lane, pos, size uint64) error {
	return l.commit(func(uint64) bool {
		if pos+size <= n.mark {
			return false // somebody else's commit took it along
		}
		n.target = n.advance(pos, size)
		n.active = true
		return true
	})
}
