package timetag

import (
	"context"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// tell is Alice's end of a round: she tells of epoch after epoch and takes Bob's
// matches.
func (p *Protocol) tell(ctx context.Context, w distill.Wire, b *block) (verdict, error) {
	for {
		t := told{verdict: p.judge(b), counts: b.counts, epoch: b.next}
		if t.verdict != goOn {
			return t.verdict, w.Send(ctx, typeTimes, t.marshal())
		}
		k, err := p.load(ctx, b.next)
		if err != nil {
			return 0, err
		}
		silent := k == nil
		if silent {
			k = &clicks{}
		}
		times := Times{Head: Head{Epoch: b.next, Universal: true}, Width: 1, Protocol: protocolBB84, At: k.at, Told: k.basis}
		packet, sent := times.Append(nil)
		t.packet = packet
		p.begun, p.done = true, b.next+1 // it is told once, whatever becomes of it
		if err := w.Send(ctx, typeTimes, t.marshal()); err != nil {
			return 0, err
		}
		if err := p.hear(ctx, w, b, k, sent, silent); err != nil {
			return 0, err
		}
		p.sweep(b.next)
		b.next++
		p.note(b, nil)
	}
}

// hear takes Bob's answer about the events that were told.
func (p *Protocol) hear(ctx context.Context, w distill.Wire, b *block, k *clicks, sent int, silent bool) error {
	msg, err := w.Receive(ctx, typeMatches, min(maxMatches, distill.MaxMessage))
	if err != nil {
		return err
	}
	m, err := parseMatches(msg, sent)
	if err != nil {
		return err
	}
	key, tests, err := m.split(k.basis)
	if err != nil {
		return err
	}
	for _, i := range key {
		b.key.Add(uint64(k.value[i]))
	}
	for n, i := range tests {
		if k.value[i] != m.testBit(n) {
			b.counts.Errors++
		}
	}
	b.counts.Coincidences += int64(m.coincidences)
	b.counts.Tests += int64(len(tests))
	b.searching = m.state == searching
	if b.silent++; !silent && m.state != dry {
		b.silent = 0
	}
	clear(k.value)
	return nil
}
