package ldpc

import (
	"cmp"
	"context"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// frame is one frame at Bob.
type frame struct {
	index    int
	syndrome []uint64
	known    []known // disclosed, in rising order
	asked    []int   // positions that Alice is to disclose, in rising order
	done     bool
}

// asks reports whether there is anything left to ask for: a wrong syndrome may
// stay wrong when every bit is known.
func (f *frame) asks() bool { return len(f.asked) > 0 }

type known struct {
	at  int
	bit uint64
}

// bob decodes and asks until all is done or the rounds are used up.
func (r *Reconciler) bob(ctx context.Context, w distill.Wire, l layout, bits distill.Bits, qber float64) (disclosed int64, failed []int, err error) {
	l, err = receiveShape(ctx, w, l)
	if err != nil {
		return 0, nil, err
	}
	b := &decoding{Reconciler: r, layout: l, bits: bits, llr: float32(math.Log(1/max(minQBER, qber) - 1))}
	open, err := b.first(ctx, w)
	if err != nil {
		return 0, nil, err
	}
	for round := 0; round < rounds && slices.ContainsFunc(open, (*frame).asks); round++ {
		n, err := b.ask(ctx, w, open)
		if err != nil {
			return 0, nil, err
		}
		disclosed += n
		if err := b.attempt(ctx, open, round+1); err != nil {
			return 0, nil, err
		}
		open = slices.DeleteFunc(open, func(f *frame) bool { return f.done })
	}
	for _, f := range open {
		failed = append(failed, f.index)
	}
	return disclosed, failed, sendReport(ctx, w, report{final: true, frames: verdict(failed)})
}

// decoding is Bob's side of one call.
type decoding struct {
	*Reconciler
	layout
	bits distill.Bits
	llr  float32 // of a bit that nothing else is known of
}

// first receives the syndromes, part by part, and decodes each part while the
// next is on its way. It returns the frames that did not succeed.
func (b *decoding) first(ctx context.Context, w distill.Wire) (open []*frame, err error) {
	for i := 0; i < b.frames; {
		msg, err := w.Receive(ctx, typeSyndrome, distill.MaxMessage)
		if err != nil {
			return nil, err
		}
		batch, err := b.parseSyndromes(msg, i)
		if err != nil {
			return nil, err
		}
		i += len(batch)
		if err := b.attempt(ctx, batch, 0); err != nil {
			return nil, err
		}
		open = append(open, slices.DeleteFunc(batch, func(f *frame) bool { return f.done })...)
	}
	return open, nil
}

// attempt decodes frames side by side.
func (b *decoding) attempt(ctx context.Context, frames []*frame, round int) error {
	g, ctx := errgroup.WithContext(ctx)
	next := make(chan *frame, len(frames))
	for _, f := range frames {
		next <- f
	}
	close(next)
	for range min(b.cfg.Workers, len(frames)) {
		g.Go(func() error {
			var d *Decoder
			for f := range next {
				if err := expired(ctx); err != nil {
					return err
				}
				c, err := b.code(f.index)
				if err != nil {
					return err
				}
				if d == nil || d.c != c {
					d = NewDecoder(c)
				}
				b.decode(d, f, round)
			}
			return nil
		})
	}
	return g.Wait()
}

// decode makes one attempt at a frame: it corrects the bits, or chooses what to
// ask for.
func (b *decoding) decode(d *Decoder, f *frame, round int) {
	size := b.size(f.index)
	word := b.cut(b.bits, f.index)
	llr := b.soft(word, d.c.n, size)
	for _, k := range f.known {
		llr[k.at] = float32(math.Inf(1 - 2*int(k.bit)))
	}
	_, f.done = d.Decode(word, llr, f.syndrome, passes)
	if f.done && clean(word, size) {
		b.paste(b.bits, word, f.index)
		return
	}
	f.done = false
	f.asked = doubted(d.soft[:size], f.known, more(d.c.m, size-len(f.known), round))
}

// soft makes the decoder's input of a frame.
func (b *decoding) soft(word []uint64, n, size int) []float32 {
	llr := make([]float32, n)
	for i := range llr {
		llr[i] = b.llr
		if word[i/64]>>(i%64)&1 == 1 {
			llr[i] = -b.llr
		}
		if i >= size {
			llr[i] = certain
		}
	}
	return llr
}

// clean reports whether the bits behind size are 0.
func clean(word []uint64, size int) bool {
	for i := size; i < len(word)*64; i++ {
		if word[i/64]>>(i%64)&1 == 1 {
			return false
		}
	}
	return true
}

// paste puts a frame back.
func (l layout) paste(bits distill.Bits, word []uint64, i int) {
	copy(bits.W[i*l.frame/64:], word[:(l.size(i)+63)/64])
}

// doubted returns the count positions whose soft values are nearest to 0, but for
// those known, in rising order.
func doubted(soft []float32, have []known, count int) []int {
	type doubt struct {
		at  int
		abs float32
	}
	all := make([]doubt, 0, len(soft))
	for i, v := range soft {
		if len(have) > 0 && have[0].at == i {
			have = have[1:]
			continue
		}
		all = append(all, doubt{i, max(v, -v)})
	}
	slices.SortFunc(all, func(x, y doubt) int {
		return cmp.Or(cmp.Compare(x.abs, y.abs), cmp.Compare(x.at, y.at))
	})
	at := make([]int, min(count, len(all)))
	for i := range at {
		at[i] = all[i].at
	}
	slices.Sort(at)
	return at
}

// ask names the doubted bits of the open frames and takes Alice's.
func (b *decoding) ask(ctx context.Context, w distill.Wire, open []*frame) (disclosed int64, err error) {
	var r report
	for _, f := range open {
		if !f.asks() {
			continue
		}
		r.frames = append(r.frames, wanted{f.index, f.asked})
	}
	if err := sendReport(ctx, w, r); err != nil {
		return 0, err
	}
	for _, f := range open {
		if !f.asks() {
			continue
		}
		n := len(f.asked)
		msg, err := w.Receive(ctx, typeAnswer, (n+7)/8)
		if err != nil {
			return 0, err
		}
		v, ok := parseBits(msg, n)
		if !ok {
			return 0, qsc.E("ldpc.Reconcile", qsc.Corrupt, "", "an answer of %d bytes to %d bits asked for", len(msg), n)
		}
		f.learn(v)
		disclosed += int64(n)
	}
	return disclosed, nil
}

// learn merges the answer into what is known.
func (f *frame) learn(v []uint64) {
	for k, p := range f.asked {
		f.known = append(f.known, known{p, v[k/64] >> (k % 64) & 1})
	}
	slices.SortFunc(f.known, func(x, y known) int { return cmp.Compare(x.at, y.at) })
	f.asked = nil
}
