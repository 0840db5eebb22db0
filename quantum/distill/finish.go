package distill

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/toeplitz"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// leftover is key that did not fill a block: what both ends say of it at a round's
// beginning, and the words themselves, which the ends of rounds hand on.
type leftover struct {
	offer offer
	words []uint64
}

// finish makes the key of a round that both ends have authenticated, beside the
// next round: the hash, new masks, blocks, what is left over. Both ends do the same.
//
// Order: the new masks and, at Bob, the round and its numbers are durable; the
// record is durable; the blocks may be taken. Where the disk fails the blocks are
// erased; their numbers never serve again.
func (l *Link) finish(p *plan) {
	defer p.erase()
	out := p.key.W[:p.said.bits/64] // the hash may take the place of what it hashes
	seed, err := toeplitz.NewSeed(p.seed, p.key.N, int(p.said.bits))
	if err != nil {
		l.spoilt(qsc.E("distill.Amplify", qsc.Other, string(l.cfg.Link), "%w", err))
		return
	}
	seed.Hash(out, p.key.W)
	seed.Release()
	l.spare.give(p.seed)
	blocks, ok := l.divide(p, out)
	r := l.record(p)
	err = l.keep(r)
	if err == nil && !ok {
		err = qsc.E("distill.Amplify", qsc.Other, string(l.cfg.Link), "the key left over by the round before is gone, and with it this round's")
	}
	if err != nil {
		erase(blocks)
		l.spoilt(err)
		return
	}
	l.publish(r, p, blocks)
}

func erase(blocks []quantum.KeyBlock) {
	for _, b := range blocks {
		b.Key.Zeroise()
	}
}

// divide cuts a round's key into masks, blocks and what is left over. It is not ok
// when what the round before left over is not there, because its end failed.
func (l *Link) divide(p *plan, out []uint64) (blocks []quantum.KeyBlock, ok bool) {
	fresh := make([]byte, int(p.said.refill)*pairSize)
	toBytes(fresh, out[:len(fresh)/8])
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.masks = l.state.masks.add(newBatch(p.round, fresh))
	for n := len(l.state.masks); n > maxOffers; n-- {
		l.state.masks[n-1].masks.Zeroise()
		l.state.masks = l.state.masks[:n-1]
	}
	old, rest := l.left.words, out[len(fresh)/8:]
	defer clear(old)
	if p.carry == 0 {
		old = nil
	}
	if len(old) != p.carry {
		l.left.words = nil
		return nil, false
	}
	for i := range p.said.names {
		raw := make([]byte, l.cfg.Block)
		k := min(len(old), len(raw)/8)
		n := len(raw)/8 - k
		toBytes(raw, old[:k])
		toBytes(raw[8*k:], rest[:n])
		blocks = append(blocks, l.block(p, i, raw))
		old, rest = old[k:], rest[n:]
	}
	l.left.words = slices.Concat(old, rest)
	return blocks, true
}

// block makes a key block of its bytes, which become its own.
func (l *Link) block(p *plan, i int, raw []byte) quantum.KeyBlock {
	q, f := p.quality()
	return quantum.KeyBlock{Link: l.cfg.Link, ID: p.said.names[i], Epoch: l.cfg.Epoch, Seq: p.start.seq + uint64(i),
		Key: qsc.NewSecret(raw), QBER: q, Efficiency: f, EpsSec: p.bound.EpsSec + p.epsAuth, EpsCor: p.bound.EpsCor + p.epsAuth,
		Bound: p.bound.Bound, Round: p.round, Class: l.cfg.Class, ProducedAt: p.said.made}
}

// keep makes the state and the record durable.
func (l *Link) keep(r quantum.Record) error {
	l.disk.Lock()
	defer l.disk.Unlock()
	if err := l.persist(); err != nil {
		return err
	}
	if err := appendRecord(l.cfg.FS, r); err != nil {
		return qsc.E("distill.Record", 0, string(l.cfg.Link), "%w", err)
	}
	return nil
}

// publish hands a round's blocks out.
func (l *Link) publish(r quantum.Record, p *plan, blocks []quantum.KeyBlock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		erase(blocks)
		return
	}
	l.waiting = append(l.waiting, blocks...)
	l.account.good(r, p.began, l.cfg.Now(), l.cfg.Block, p.faults)
	nudge(l.wake)
	l.log.Debug("a round is done", "round", r.Round, "sifted", r.Sifted, "qber", r.QBER, "f", r.Efficiency, "length", r.Length, "blocks", r.Blocks)
}

// spoilt notes a round that was lost at this end only.
func (l *Link) spoilt(err error) {
	l.mu.Lock()
	l.account.bad(err)
	l.mu.Unlock()
	l.log.Warn("a round's key is lost at this end", "kind", qsc.KindOf(err).String(), "error", err.Error())
}
