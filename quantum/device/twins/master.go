package twins

import (
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// master draws keys and keeps the lists until the slave has its twins.
type master struct {
	l     *Link
	place place
	size  int64 // bytes of a key, 0: not known yet
	batch int64 // keys in a request

	mu      sync.Mutex
	waiting []uint64      // lists in the directory, rising
	change  uint64        // counts the changes of waiting
	changed chan struct{} // closed at the next change
	serving sync.WaitGroup
}

func openMaster(l *Link) (*master, error) {
	p, err := load(l.cfg.FS, l.cfg.Epoch)
	if err != nil {
		return nil, err
	}
	m := &master{l: l, place: p, change: 1, changed: make(chan struct{})}
	seqs, err := lists(l.cfg.FS)
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		if _, err := m.list(seq); err == nil {
			m.waiting = append(m.waiting, seq)
		} else if err := l.cfg.FS.Remove(listName(seq)); err != nil { // damaged, or of another epoch
			return nil, err
		}
	}
	m.serving.Go(m.serve)
	return m, nil
}

func (m *master) close() {
	_ = m.l.cfg.Listen.Close()
	m.serving.Wait()
}

// list reads the list of a block of this epoch.
func (m *master) list(seq uint64) (*list, error) {
	b, err := durable.ReadFile(m.l.cfg.FS, listName(seq), int64(maxList(m.l.cfg.Block)))
	if err != nil {
		return nil, err
	}
	x, err := decodeList(b, m.l.cfg.Block)
	if err == nil && (x.seq != seq || x.epoch != m.l.cfg.Epoch) {
		err = badList("it is another block's")
	}
	return x, err
}

func (m *master) choose(want func(uint64) bool) (func() (*quantum.KeyBlock, error), bool) {
	seq, ok := m.place.pick(want)
	if !ok {
		return nil, false
	}
	return func() (*quantum.KeyBlock, error) { return m.make(seq) }, true
}

// make draws one block.
//
// Order: (1) the number is durably taken; (2) the keys are drawn; (3) their list is
// durable; (4) the block is handed out and the slave told. A crash in between
// leaves a number without a block, and the keys unused.
func (m *master) make(seq uint64) (*quantum.KeyBlock, error) {
	if err := m.learn(); err != nil {
		m.place.giveBack(seq)
		return nil, err
	}
	if err := durable.Replace(m.l.cfg.FS, placeFile, m.place.encode()); err != nil {
		return nil, err
	}
	x := &list{epoch: m.l.cfg.Epoch, seq: seq, class: m.l.cfg.Class, batch: uint16(m.batch), size: uint32(m.size)}
	_, _ = rand.Read(x.id[:]) // never fails
	x.id[6], x.id[8] = x.id[6]&0x0f|0x40, x.id[8]&0x3f|0x80
	block := make([]byte, 0, m.l.cfg.Block)
	for n := keysFor(m.l.cfg.Block, m.size); n > 0; n = keysFor(m.l.cfg.Block, m.size) - int64(len(x.ids)) {
		k, err := m.draw(min(n, m.batch))
		if err != nil {
			clear(block)
			m.place.giveBack(seq) // no list names it, nobody has it
			return nil, err
		}
		block = fill(block, k)
		x.ids = append(x.ids, k.IDs...)
		x.class |= k.Class
	}
	x.made = m.l.cfg.Now().UnixNano()
	if err := m.announce(x); err != nil {
		clear(block)
		return nil, err
	}
	return m.l.block(x, block), nil
}

// fill appends the keys, cut at the block's length, and wipes them.
func fill(block []byte, k *Keys) []byte {
	raw := k.Bytes.Expose()
	block = append(block, raw[:min(len(raw), cap(block)-len(block))]...)
	k.Bytes.Zeroise()
	return block
}

func (l *Link) block(x *list, raw []byte) *quantum.KeyBlock {
	return &quantum.KeyBlock{Link: l.cfg.Link, ID: x.id, Epoch: x.epoch, Seq: x.seq, Key: qsc.NewSecret(raw),
		Bound: l.cfg.Bound, Class: x.class, ProducedAt: x.madeAt()}
}

// draw asks for n keys until the source gives them.
func (m *master) draw(n int64) (*Keys, error) {
	var k *Keys
	err := m.l.insist(func() (err error) { k, err = m.l.cfg.Source.Draw(m.l.ctx, int(n)); return err })
	if err == nil && (int64(len(k.IDs)) != n || int64(k.Size) != m.size || int64(k.Bytes.Len()) != n*m.size) {
		k.Bytes.Zeroise()
		err = m.l.err(qsc.Corrupt, "the source gives %d keys of %d bytes when asked for %d of %d", len(k.IDs), k.Size, n, m.size)
	}
	return k, err
}

// learn asks the source once for its limits.
func (m *master) learn() error {
	if m.size != 0 {
		return nil
	}
	var lim Limits
	err := m.l.insist(func() (err error) { lim, err = m.l.cfg.Source.Limits(m.l.ctx, m.l.cfg.Block); return err })
	if err != nil {
		return err
	}
	if lim.Size < minKey || lim.Size > 1<<20 || lim.Size > m.l.cfg.Block {
		return m.l.err(qsc.Unsupported, "keys of %d bytes do not suit blocks of %d bytes: at least %d and at most a block's length are needed", lim.Size, m.l.cfg.Block, minKey)
	}
	m.size, m.batch = lim.Size, min(max(lim.Batch, 1), maxBatch)
	return nil
}

// insist repeats a call while the source has no key or cannot be reached, and says so
// in the alarm meanwhile.
func (l *Link) insist(call func() error) error {
	wait := poll
	for {
		err := call()
		switch qsc.KindOf(err) {
		case qsc.Exhausted, qsc.Unreachable, qsc.Timeout:
		default:
			return err
		}
		l.mu.Lock()
		l.alarm = err.Error()
		l.mu.Unlock()
		pause := wait
		var later *Later
		if errors.As(err, &later) && later.After > 0 {
			pause = min(later.After, time.Minute)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-l.ctx.Done():
			t.Stop()
			return l.err(qsc.Unreachable, "the link is closed")
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// announce makes a list durable and tells the slave. The oldest goes when there
// are too many: that block is lost to a slave that never came.
func (m *master) announce(x *list) error {
	if err := durable.Replace(m.l.cfg.FS, listName(x.seq), x.encode()); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at, _ := slices.BinarySearch(m.waiting, x.seq)
	m.waiting = slices.Insert(m.waiting, at, x.seq)
	if len(m.waiting) > maxLists {
		_ = m.l.cfg.FS.Remove(listName(m.waiting[0])) // it is harmless, and gone with the epoch
		m.waiting = m.waiting[1:]
	}
	m.stir()
	return nil
}

func (m *master) stir() {
	m.change++
	close(m.changed)
	m.changed = make(chan struct{})
}

// done forgets a list that the slave has used.
func (m *master) done(seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := slices.BinarySearch(m.waiting, seq); ok {
		m.waiting = slices.Delete(m.waiting, at, at+1)
		_ = m.l.cfg.FS.Remove(listName(seq)) // if it comes back, the slave says so again
		m.stir()
	}
}
