package ledger

import "time"

// settling says which lanes a sweep brings to their exact mark.
type settling uint8

const (
	noLane    settling = iota
	idleLanes          // those not used since the last such sweep
	everyLane
)

// sweeper runs until Close. It is woken when enough was erased in memory, when
// somebody waits for a slot, and at idle ticks.
func (l *Ledger) sweeper() {
	tick := time.NewTicker(l.cfg.Idle)
	defer tick.Stop()
	for {
		settle := noLane
		select {
		case <-l.ctx.Done():
			return
		case <-l.sweepC:
		case <-tick.C:
			settle = idleLanes
		}
		err := l.sweep(settle)
		l.mu.Lock()
		l.broken = ""
		if err != nil {
			l.broken = "used key could not be erased from the disk: " + err.Error()
		}
		l.mu.Unlock()
		if err != nil {
			l.cfg.Logger.Warn("used key not yet erased from the disk", "link", l.cfg.Link, "error", err)
		}
	}
}

// sweep carries erasures to the medium and frees slots.
//
// Order of system calls:
//  1. marks (commit), when something burnt is to be zeroed: only now may it be;
//  2. msync of every stretch that is zero in memory;
//  3. marks (commit): exact positions, and how far everything is erased;
//  4. table: blocks that end below both become "gone" and lose their guard,
//     fdatasync; only then their slots are free.
func (l *Ledger) sweep(settle settling) error {
	l.sweepMu.Lock()
	defer l.sweepMu.Unlock()
	work := l.collect()
	if err := l.zeroBurnt(work); err != nil {
		return err
	}
	failed := l.syncErased(work)
	if err := l.commit(func(uint64) bool { return l.settle(settle) }); err != nil {
		return err
	}
	if err := l.retire(); err != nil {
		return err
	}
	return failed
}

// collect lists what can go to the medium now, by lane.
func (l *Ledger) collect() (work [][]*extent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.lanes {
		var list []*extent
		for _, e := range n.out {
			if e.done {
				list = append(list, e)
			}
		}
		n.spent = 0
		work = append(work, list)
	}
	return work
}

func (l *Ledger) zeroBurnt(work [][]*extent) error {
	any := false
	for i := range work {
		for _, e := range work[i] {
			any = any || e.zero
		}
	}
	if !any {
		return nil
	}
	if err := l.commit(func(uint64) bool { return l.differs() }); err != nil {
		return err
	}
	for i := range work {
		for _, e := range work[i] {
			if e.zero {
				l.lanes[i].ring.zero(e.from, e.to)
				e.zero = false
			}
		}
	}
	return nil
}

// syncErased syncs the stretches, neighbours together, and forgets those that
// are safe. After a failed sync the kernel takes the pages for clean, so the
// zeros will be stored again.
func (l *Ledger) syncErased(work [][]*extent) (failed error) {
	for i, list := range work {
		for len(list) > 0 {
			k := 1
			for k < len(list) && list[k].from == list[k-1].to {
				k++
			}
			err := l.lanes[i].ring.sync(list[0].from, list[k-1].to)
			if err != nil {
				failed = err
			}
			l.synced(list[:k], err == nil)
			list = list[k:]
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.lanes {
		n.forget()
	}
	return failed
}

func (l *Ledger) synced(list []*extent, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range list {
		e.synced, e.zero = ok, !ok
	}
}

// forget drops the stretches that are erased on the medium.
func (n *lane) forget() {
	keep := n.out[:0]
	for _, e := range n.out {
		if !e.synced {
			keep = append(keep, e)
		}
	}
	clear(n.out[len(keep):])
	n.out = keep
}

// settle lowers marks made ahead and reports whether there is anything to
// write. mu is held.
func (l *Ledger) settle(which settling) bool {
	for _, n := range l.lanes {
		if which == everyLane || which == idleLanes && !n.active {
			n.mark, n.extent = n.top(), 0
		}
		n.active = n.active && which == noLane
	}
	return l.differs()
}

// retire frees the slots of blocks that are used up, accounted for and erased.
func (l *Ledger) retire() error {
	l.mu.Lock()
	var list []entry
	for i, n := range l.lanes {
		r := l.saved.lanes[i]
		for s := range n.slot {
			if b := n.slot[s]; n.over(&b, r, l.saved.seq) {
				b.state = gone
				clear(b.guard[:])
				list = append(list, entry{i, s, b})
			}
		}
	}
	l.mu.Unlock()
	if err := l.table.write(list); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range list {
		l.lanes[e.lane].slot[e.slot] = e.rec
	}
	if len(list) > 0 {
		l.dry = false
		l.freed++
		poke(l.fillC)
	}
	if len(list) > 0 || l.flushes > 0 {
		l.notify()
	}
	return nil
}

// over reports whether nothing of b will be needed after a crash.
func (n *lane) over(b *block, r laneRecord, seq uint64) bool {
	end := (b.index + 1) * n.u
	switch b.state {
	case present:
		return end <= r.pos && end <= r.erased
	case burnt:
		return !b.dirty && b.burnSeq <= seq && !n.pending(b.index*n.u, end)
	}
	return false
}

// pending reports whether any of [from, to) is still to be erased.
func (n *lane) pending(from, to uint64) bool {
	for _, e := range n.out {
		if e.from < to && from < e.to {
			return true
		}
	}
	return false
}
