package relay

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Link is one of a node's links, as its relay sees it.
type Link struct {
	ID     qsc.LinkID
	End    int // 0: this node is end A
	Ledger keymgmt.Ledger
}

// pads is key that was reserved or consumed: marked as used, durably.
type pads struct {
	parts []*otp.Pad
	void  []stretch // reserved on the way, and burnt
}

func (p *pads) burn() {
	for _, pad := range p.parts {
		_ = pad.Burn() // a pad that was spent meanwhile needs no burning
	}
}

func (p *pads) stretches() []stretch {
	all := make([]stretch, len(p.parts))
	for i, pad := range p.parts {
		all[i] = stretch{Lane: pad.Lane(), Epoch: pad.Epoch(), Pos: pad.Pos(), Len: uint32(pad.Len())}
	}
	return all
}

// reserve takes n bytes of the link's sending lane into p, in as few parts as the
// ledger's ring allows. Every pad is durably marked before the ledger returns it.
// After Timeout it may go on; after any other error, or for the last time, p must
// fail.
func (l *Link) reserve(ctx context.Context, p *pads, n int) error {
	if err := l.room(ctx, n-p.size()); err != nil {
		return err
	}
	for left := n - p.size(); left > 0; left = n - p.size() {
		if len(p.parts) == maxParts || len(p.void) > maxParts {
			return qsc.E("relay.reserve", qsc.Exhausted, string(l.ID), "the key lies in too many pieces: ask again")
		}
		pad, err := l.Ledger.Reserve(ctx, keymgmt.Data, minPart, left)
		if err != nil {
			return err
		}
		if rest := left - pad.Len(); rest%align != 0 || rest > 0 && rest < minPart {
			// The part ends where the ring or a gap does, and what it leaves could not
			// be named. Behind that place the whole rest will be found in one.
			one := pads{parts: []*otp.Pad{&pad}}
			p.void = append(p.void, one.stretches()...)
			one.burn()
			continue
		}
		p.parts = append(p.parts, &pad)
	}
	return nil
}

// A round takes no more than half of a lane's ring, and leaves some for the
// frames that carry its order: a receiver whose ring is full of key that waits for
// its order has no room for the block under which that order comes.
const (
	ringPart = 2
	leave    = 64 << 10 // bytes, at most
	leaves   = 8        // the part of a ring, where that is less
	lookIn   = 5 * time.Millisecond
)

// room waits until n bytes can be taken from the link's sending lane.
func (l *Link) room(ctx context.Context, n int) error {
	for n > 0 {
		a := l.Ledger.Status().Lanes[keymgmt.SendData(l.End)]
		if int64(n) > a.Capacity/ringPart {
			return qsc.E("relay.reserve", qsc.Exhausted, string(l.ID), "a round of %d bytes of key is too much for rings of %d: give the link a larger pad", n, a.Capacity)
		}
		if a.Left >= int64(n)+min(leave, a.Capacity/leaves) {
			return nil
		}
		select {
		case <-ctx.Done():
			return qsc.E("relay.reserve", qsc.Timeout, string(l.ID), "the link has not enough key: %w", context.Cause(ctx))
		case <-time.After(lookIn):
		}
	}
	return nil
}

func (p *pads) size() (n int) {
	for _, pad := range p.parts {
		n += pad.Len()
	}
	return n
}

// fail burns all parts and counts them as void.
func (p *pads) fail() {
	p.void = append(p.void, p.stretches()...)
	p.burn()
	p.parts = nil
}

// take views and consumes what a neighbour has sent under, into p: its pads are
// marked as used, durably. After Timeout it may go on; else what was consumed
// must be burnt.
func (l *Link) take(ctx context.Context, p *pads, in []stretch) error {
	for _, s := range in[len(p.parts):] {
		pad, err := l.Ledger.View(ctx, s.header())
		if err != nil {
			return err
		}
		if err := l.Ledger.Consume(s.header()); err != nil {
			return err
		}
		p.parts = append(p.parts, &pad)
	}
	return nil
}

// announce adds two stretches into a new buffer.
func announce(in, out *pads, n int) ([]byte, error) {
	dst := make([]byte, n)
	if err := otp.Announce(dst, in.parts, out.parts); err != nil {
		in.burn()
		out.burn()
		return nil, err
	}
	return dst, nil
}

// release lets a stretch leave as key.
func release(p *pads, n int) ([]byte, error) {
	dst := make([]byte, n)
	if err := otp.Release(dst, p.parts); err != nil {
		p.burn()
		return nil, err
	}
	return dst, nil
}
