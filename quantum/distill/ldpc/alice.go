package ldpc

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// alice sends the syndromes and then the bits that Bob asks for.
func (r *Reconciler) alice(ctx context.Context, w distill.Wire, l layout, bits distill.Bits, _ float64) (disclosed int64, failed []int, err error) {
	if err := sendSyndromes(ctx, w, l, bits); err != nil {
		return 0, nil, err
	}
	for round := 0; ; round++ {
		asked, err := receiveReport(ctx, w, l, round)
		if err != nil {
			return 0, nil, err
		}
		if asked.final {
			return disclosed, asked.failed(), nil
		}
		n, err := answer(ctx, w, l, bits, asked)
		if err != nil {
			return 0, nil, err
		}
		disclosed += n
	}
}

func sendSyndromes(ctx context.Context, w distill.Wire, l layout, bits distill.Bits) error {
	if err := w.Send(ctx, typeShape, putShape(l)); err != nil {
		return err
	}
	var msg []byte
	for i := range l.frames {
		if err := expired(ctx); err != nil {
			return err
		}
		c, err := l.code(i)
		if err != nil {
			return err
		}
		s := make([]uint64, (c.M()+63)/64)
		c.Syndrome(s, l.cut(bits, i))
		msg = appendBits(msg, s, c.M())
		if i+1 == l.frames || len(msg)+l.syndromeBytes(i+1) > part {
			if err := w.Send(ctx, typeSyndrome, msg); err != nil {
				return err
			}
			msg = msg[:0]
		}
	}
	return nil
}

// cut copies frame i out of bits, zeros behind it.
func (l layout) cut(bits distill.Bits, i int) []uint64 {
	size := l.size(i)
	f := make([]uint64, (max(MinLength, size)+63)/64)
	at := i * l.frame / 64
	copy(f, bits.W[at:at+(size+63)/64])
	if size%64 != 0 {
		f[size/64] &= 1<<(size%64) - 1
	}
	return f
}

// answer sends the bits that were asked for, frame after frame, packed.
func answer(ctx context.Context, w distill.Wire, l layout, bits distill.Bits, asked report) (sent int64, err error) {
	for _, f := range asked.frames {
		v := make([]uint64, (len(f.positions)+63)/64)
		for k, p := range f.positions {
			v[k/64] |= bits.Bit(f.index*l.frame+p) << (k % 64)
		}
		if err := w.Send(ctx, typeAnswer, appendBits(nil, v, len(f.positions))); err != nil {
			return 0, err
		}
		sent += int64(len(f.positions))
	}
	return sent, nil
}

func expired(ctx context.Context) error {
	if ctx.Err() != nil {
		return qsc.E("ldpc.Reconcile", qsc.Timeout, "", "%w", context.Cause(ctx))
	}
	return nil
}
