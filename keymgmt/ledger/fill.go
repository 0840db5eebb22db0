package ledger

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Limits of one batch, which shares its syncs.
const (
	batchBlocks = 64
	batchBytes  = 8 << 20
	batchWait   = time.Millisecond // for a block after the first
)

// fill takes blocks from the source until Close.
func (l *Ledger) fill() {
	for l.ctx.Err() == nil {
		l.mu.Lock()
		freed := l.freed
		l.mu.Unlock()
		batch, err := l.pull()
		if len(batch) > 0 {
			err = l.store(batch)
		}
		l.heard(err, freed)
		if err != nil && l.ctx.Err() == nil {
			l.rest(err)
		}
	}
}

// rest waits until a slot comes free or a while has passed. A damaged block is
// reported once, and good ones may stand behind it.
func (l *Ledger) rest(err error) {
	wait := l.cfg.Retry
	if qsc.IsKind(err, qsc.Corrupt) {
		wait = min(wait, 10*time.Millisecond)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-l.ctx.Done():
	case <-l.fillC:
	case <-t.C:
	}
}

// heard notes how the source, or the storing of its blocks, fares. A source that
// had nothing for us may have something for a slot that came free since it was asked.
func (l *Ledger) heard(err error, freed uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	exhausted := qsc.IsKind(err, qsc.Exhausted)
	dry := exhausted && freed == l.freed
	if dry != l.dry {
		l.dry = dry
		l.notify()
	}
	fault := ""
	if err != nil && !exhausted && !qsc.IsKind(err, qsc.Timeout) && l.ctx.Err() == nil {
		fault = "no key comes in: " + err.Error()
	}
	if fault != l.fault && fault != "" {
		l.cfg.Logger.Warn("no key comes in", "link", l.cfg.Link, "error", err)
	}
	l.fault = fault
}

// pull takes the next blocks that have a place: it waits for the first and
// takes along what follows at once.
func (l *Ledger) pull() (batch []quantum.KeyBlock, err error) {
	p := pulling{l: l, slots: map[[2]uint64]bool{}}
	k, err := l.cfg.Source.Next(l.ctx, p.want)
	if err != nil {
		return nil, err
	}
	for {
		if err := l.fits(&k); err != nil {
			k.Key.Zeroise()
			return batch, err
		}
		batch = append(batch, k)
		p.take(k.Seq)
		if len(batch) >= batchBlocks || int64(len(batch)+1)*l.cfg.Block > batchBytes {
			return batch, nil
		}
		ctx, cancel := context.WithTimeout(l.ctx, batchWait)
		k, err = l.cfg.Source.Next(ctx, p.want)
		cancel()
		if err != nil {
			return batch, nil // it will be said again
		}
	}
}

// fits checks what the source delivers.
func (l *Ledger) fits(k *quantum.KeyBlock) error {
	switch {
	case k.Link != l.cfg.Link || k.Epoch != l.cfg.Epoch:
		return qsc.E("ledger.fill", qsc.Conflict, string(l.cfg.Link), "the source delivers key of link %s, epoch %d, not of epoch %d: give it this link's stock", k.Link, k.Epoch, l.cfg.Epoch)
	case int64(k.Key.Len()) != l.cfg.Block:
		return qsc.E("ledger.fill", qsc.Corrupt, string(l.cfg.Link), "the source delivers blocks of %d bytes, the link has blocks of %d", k.Key.Len(), l.cfg.Block)
	case k.Seq >= noEnd/uint64(l.cfg.Block):
		return qsc.E("ledger.fill", qsc.Corrupt, string(l.cfg.Link), "the source delivers block %d, beyond every stream", k.Seq)
	}
	return nil
}

// pulling is what one batch has claimed so far.
type pulling struct {
	l     *Ledger
	slots map[[2]uint64]bool // lane and slot
	last  [keymgmt.Lanes]uint64
	any   [keymgmt.Lanes]bool
	asked uint64              // the Seq asked for last
	full  [keymgmt.Lanes]bool // in this pass a block of the lane had no place
}

// want reports whether a block has a place now. Sources ask with rising Seq. Where
// a block finds its slot taken, those behind it wait too, though theirs be free:
// once one of them is here, the ones below count as lost.
func (p *pulling) want(seq uint64) bool {
	id, i := keymgmt.LaneOf(seq)
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	if seq <= p.asked {
		clear(p.full[:]) // a new pass
	}
	p.asked = seq
	n := p.l.lanes[id]
	switch {
	case p.full[id] || p.any[id] && i <= p.last[id]:
		return false
	case !n.wants(i) || p.slots[p.key(id, i)]:
		p.full[id] = true
		return false
	}
	return true
}

func (p *pulling) take(seq uint64) {
	id, i := keymgmt.LaneOf(seq)
	p.any[id], p.last[id], p.slots[p.key(id, i)] = true, i, true
}

func (p *pulling) key(id otp.Lane, i uint64) [2]uint64 {
	return [2]uint64{uint64(id), i % uint64(len(p.l.lanes[id].slot))}
}

// store makes a batch durable and usable.
//
// Order of system calls:
//  1. pad bytes into the mapping, msync of each run of slots;
//  2. table records, fdatasync of the table: from here on the blocks exist;
//  3. Accept, by which the source forgets its copy.
//
// Blocks that came too late are accepted and dropped.
func (l *Ledger) store(batch []quantum.KeyBlock) error {
	defer func() {
		for i := range batch {
			batch[i].Key.Zeroise()
		}
	}()
	if err := l.place(batch); err != nil {
		return l.wrap("ledger.fill", err)
	}
	for i := range batch {
		if err := l.cfg.Source.Accept(batch[i]); err != nil {
			return l.wrap("ledger.fill", err)
		}
	}
	return nil
}

func (l *Ledger) place(batch []quantum.KeyBlock) error {
	l.fillMu.Lock()
	defer l.fillMu.Unlock()
	list := l.assign(batch)
	err := l.copyIn(list, batch)
	if err == nil {
		err = l.table.write(records(list))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range list {
		l.arrive(e, err == nil)
	}
	l.notify()
	return err
}

// arrival is a block and its place.
type arrival struct {
	entry
	from int // in the batch
}

func records(list []arrival) (out []entry) {
	for _, a := range list {
		out = append(out, a.entry)
	}
	return out
}

// assign gives every block that is still wanted its slot and its ordinal.
func (l *Ledger) assign(batch []quantum.KeyBlock) (list []arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var more [keymgmt.Lanes]uint64
	for k := range batch {
		id, i := keymgmt.LaneOf(batch[k].Seq)
		n := l.lanes[id]
		if n.stale(i) || !n.at(i).free() {
			continue
		}
		more[id]++
		list = append(list, arrival{entry{int(id), int(i % uint64(len(n.slot))), newBlock(&batch[k], i, n.ordinal+more[id])}, k})
	}
	return list
}

// copyIn copies the keys to their slots and syncs each run of neighbours once.
func (l *Ledger) copyIn(list []arrival, batch []quantum.KeyBlock) error {
	var runs [keymgmt.Lanes][]otp.Span
	for _, a := range list {
		n, key := l.lanes[a.lane], batch[a.from].Key.Expose()
		at := a.rec.index * n.u
		copy(n.ring.at(at, at+n.u), key[otp.GuardSize:])
		if k := len(runs[a.lane]) - 1; k >= 0 && runs[a.lane][k].To == at {
			runs[a.lane][k].To += n.u
		} else {
			runs[a.lane] = append(runs[a.lane], otp.Span{From: at, To: at + n.u})
		}
	}
	for i, n := range l.lanes {
		for _, r := range runs[i] {
			if err := n.ring.sync(r.From, r.To); err != nil {
				return err
			}
		}
	}
	return nil
}

// arrive puts a stored block into service. One that could not be stored may be
// on the disk or not: its record is cleared with the next marks, and the slot is
// free only then. Its bytes stay till then, for a crash may bring the record
// back. mu is held.
func (l *Ledger) arrive(a arrival, ok bool) {
	n := l.lanes[a.lane]
	b := &n.slot[a.slot]
	if !ok {
		*b = block{state: empty, dirty: true}
		return
	}
	*b = a.rec
	n.ordinal = a.rec.ordinal
	n.nextIndex = a.rec.index + 1
	n.account.produced += int64(n.u)
	l.class |= a.rec.class
	if from := a.rec.index * n.u; from < n.floor() { // the peer used part of it already
		n.account.burnt += n.stock(from, n.floor())
		n.wipe(from, n.floor())
	}
}
