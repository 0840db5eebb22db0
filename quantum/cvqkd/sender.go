package cvqkd

import (
	"context"
	"math"
	"math/bits"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

// send is the light's sender, which corrects its view to the receiver's (role
// Bob).
func (r *round) send(ctx context.Context) (*result, error) {
	var key []float32 // values sent that are not yet in a frame
	res, n := &result{}, r.dev.frame()
	err := r.batches(ctx, func(index, symbols int) error {
		msg, err := r.w.Receive(ctx, typeBatch, 12+symbols/4+2+4*symbols)
		if err != nil {
			return err
		}
		b, err := parseBatch(msg, index, symbols, r.dev.Heterodyne)
		if err != nil {
			return err
		}
		key = append(key, r.compare(b)...)
		c := r.dev.judge(r.sum, r.margin)
		if err := r.w.Send(ctx, typeCode, c.marshal()); err != nil {
			return err
		}
		if c.verdict != goOn {
			return hopeless(c.verdict)
		}
		frames := make([]*attempt, len(key)/n)
		for i := range frames {
			if frames[i], err = r.first(ctx, res.frames+i, key[i*n:(i+1)*n], c.checks); err != nil {
				return err
			}
		}
		if err := r.settle(ctx, res, frames, c.checks); err != nil {
			return err
		}
		key = key[len(frames)*n:]
		key = slices.Clone(key) // lets go of what is corrected
		return nil
	})
	if err != nil {
		return nil, err
	}
	res.sums = r.sum
	return res, r.w.Send(ctx, typeResult, res.marshal())
}

// compare sums up the disclosed values of a batch beside those sent, and returns
// what was sent of the others.
func (r *round) compare(b *batch) (key []float32) {
	q := r.dev.quadratures()
	sent := make([]float32, 2*b.symbols)
	normals(sent, stream(r.setup.World, forModulation, r.start, b.index))
	sd, next := float32(math.Sqrt(r.dev.VA)), 0
	for i := range b.symbols {
		x := sent[2*i : 2*i+2]
		if q == 1 {
			k := bit(b.bases, i)
			x = x[k : k+1]
		}
		for _, v := range x {
			if bit(b.tests, i) == 0 {
				key = append(key, sd*v)
				continue
			}
			r.sum.add(float64(sd*v), value(b.values[next]))
			next++
		}
	}
	return key
}

// attempt is a frame that the sender works on.
type attempt struct {
	llr      []float32
	hard     []uint64 // without a code
	words    []uint64
	syndrome []uint64
	parity   uint32
	ok       bool
}

// first takes a frame's message and tries to correct this end's view of its bits.
func (r *round) first(ctx context.Context, index int, x []float32, checks int) (*attempt, error) {
	n := len(x)
	msg, err := r.w.Receive(ctx, typeFrame, 8+n+n/4+(checks+7)/8)
	if err != nil {
		return nil, err
	}
	f, err := parseFrame(msg, index, n, checks)
	if err != nil {
		return nil, err
	}
	r.leak += int64(checks) + parityBits
	l, _ := r.sum.fit() // judged before
	a := &attempt{llr: turn(f, x, l), syndrome: f.syndrome, parity: f.parity, words: make([]uint64, n/64)}
	a.hard = hard(a.llr)
	return a, r.try(ctx, a, checks)
}

// try decodes a frame.
func (r *round) try(ctx context.Context, a *attempt, checks int) error {
	if ctx.Err() != nil {
		return qsc.E("cvqkd.Sift", qsc.Timeout, "", "%w", context.Cause(ctx))
	}
	code, err := r.codes.get(checks)
	if err == nil {
		_, met := code.Decode(a.words, a.llr, a.syndrome, maxIterations)
		a.ok = met && remainder(a.words) == a.parity
	}
	return err
}

// settle asks for some bits of the frames of a batch that did not reconcile and
// tries again, until all do or enough was asked; then it books them. A frame that
// failed for good is listed, its leak charged.
func (r *round) settle(ctx context.Context, res *result, frames []*attempt, checks int) error {
	asked := 0
	for step := 0; len(frames) > 0; step++ {
		open := unsettled(frames)
		if step == maxHelp {
			break
		}
		asked += ones(open)
		if err := r.w.Send(ctx, typeMore, appendBits(nil, open, len(frames))); err != nil {
			return err
		}
		if ones(open) == 0 {
			break
		}
		if err := r.helped(ctx, frames, open, step, checks); err != nil {
			return err
		}
	}
	r.learn(len(frames), asked)
	for _, a := range frames {
		if !a.ok {
			res.failed = append(res.failed, res.frames)
		}
		for i := 0; a.ok && i < len(a.words); i++ {
			res.errors += int64(bits.OnesCount64(a.words[i] ^ a.hard[i]))
		}
		res.frames++
		r.bits = append(r.bits, a.words...)
	}
	return nil
}

// unsettled are the frames that did not reconcile yet, as bits.
func unsettled(frames []*attempt) []uint64 {
	open := make([]uint64, (len(frames)+63)/64)
	for i, a := range frames {
		if !a.ok {
			open[i>>6] |= 1 << (i & 63)
		}
	}
	return open
}

// helped takes the bits that were asked for and tries again.
func (r *round) helped(ctx context.Context, frames []*attempt, open []uint64, step, checks int) error {
	n := r.dev.frame()
	count := ones(open) * n / helpShare
	msg, err := r.w.Receive(ctx, typeHelp, (count+7)/8)
	if err != nil {
		return err
	}
	known, err := parseHelp(msg, count)
	if err != nil {
		return err
	}
	r.leak += int64(count)
	next := 0
	for i, a := range frames {
		if bit(open, i) == 0 {
			continue
		}
		for j := helpAt(step); j < n; j += helpShare {
			a.llr[j] = float32(math.Inf(1 - 2*bit(known, next)))
			next++
		}
		if err := r.try(ctx, a, checks); err != nil {
			return err
		}
	}
	return nil
}

// How the margin below beta moves: up where frames need help, slowly down where
// none does, so that in the long run few do whatever the code reaches.
const (
	marginUp   = 0.01
	marginDown = 0.0004
	marginMost = 0.5
)

// learn moves the margin after a batch of frames that asked for help so often.
// Only the sender chooses codes, so only its end keeps one.
func (p *Protocol) learn(frames, asked int) {
	if asked*2 > frames {
		p.margin = min(p.margin+marginUp, marginMost)
		return
	}
	p.margin = max(p.margin-marginDown*float64(frames-asked), 0)
}

// turn rotates what was sent as the receiver says and returns for each bit
// log(P0/P1): 2 gain |y| v/(√8 sigma²) for the component v.
func turn(f *frame, x []float32, l linear) []float32 {
	llr := make([]float32, len(x))
	scale := 2 * l.gain / (math.Sqrt(8) * l.sigma2) / lengthSteps / alphaSteps
	for g, length := range f.lengths {
		var alpha octonion
		for i := range alpha {
			alpha[i] = float32(f.alphas[8*g+i])
		}
		v := alpha.times(octonion(x[8*g : 8*g+8]))
		k := float32(scale * float64(length))
		for i := range v {
			llr[8*g+i] = v[i] * k
		}
	}
	return llr
}

// hard is the decision for each bit without a code.
func hard(llr []float32) []uint64 {
	words := make([]uint64, len(llr)/64)
	for i, v := range llr {
		if v < 0 {
			words[i>>6] |= 1 << (i & 63)
		}
	}
	return words
}
