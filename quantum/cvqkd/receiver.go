package cvqkd

import (
	"context"
	"math"
	"slices"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// receive is the light's receiver, the reference of reconciliation (role Alice).
func (r *round) receive(ctx context.Context) (*result, error) {
	var key []int16 // values that are not yet in a frame
	frames, n := 0, r.dev.frame()
	err := r.batches(ctx, func(index, symbols int) error {
		b, fresh := r.measure(index, symbols)
		r.tests += int64(len(b.values))
		key = append(key, fresh...)
		if err := r.w.Send(ctx, typeBatch, b.marshal()); err != nil {
			return err
		}
		msg, err := r.w.Receive(ctx, typeCode, 5)
		if err != nil {
			return err
		}
		c, err := parseChoice(msg, n)
		if err != nil {
			return err
		}
		if c.verdict != goOn {
			return hopeless(c.verdict)
		}
		full := len(key) / n
		for i := range full {
			if err := r.tell(ctx, frames+i, key[i*n:(i+1)*n], c.checks); err != nil {
				return err
			}
		}
		if err := r.help(ctx, frames, full); err != nil {
			return err
		}
		key, frames = key[full*n:], frames+full
		key = slices.Clone(key) // lets go of what is told
		return nil
	})
	if err != nil {
		return nil, err
	}
	msg, err := r.w.Receive(ctx, typeResult, 64+frames/8)
	if err != nil {
		return nil, err
	}
	return parseResult(msg, r.tests, frames, n)
}

// measure draws a batch of what the receiver measures and splits it: the tested
// values into the batch, the others apart.
func (r *round) measure(index, symbols int) (b *batch, key []int16) {
	d := r.dev
	choices := stream(r.setup.World, forChoice, r.start, index)
	b = &batch{index: index, symbols: symbols}
	if !d.Heterodyne {
		b.bases = coins(symbols, 0.5, choices)
	}
	b.tests = coins(symbols, d.Estimate, choices)
	y := r.light(b)
	q := d.quadratures()
	for i := range symbols {
		if v := y[i*q : i*q+q]; bit(b.tests, i) == 1 {
			b.values = append(b.values, v...)
		} else {
			key = append(key, v...)
		}
	}
	return b, key
}

// light is what the detectors give for a batch: the physics. Only here are the
// sender's quadratures seen at the receiver's end.
func (r *round) light(b *batch) []int16 {
	d, q := r.dev, r.dev.quadratures()
	sent := make([]float32, 2*b.symbols)
	normals(sent, stream(r.setup.World, forModulation, r.start, b.index))
	noise := make([]float32, (b.symbols*q+1)&^1)
	normals(noise, stream(r.setup.World, forNoise, r.start, b.index))
	tapped := r.tapped(b)

	l := d.linear(r.t, d.Xi, 1)
	signal, sigma := l.gain*math.Sqrt(d.VA), math.Sqrt(l.sigma2)
	y := make([]int16, b.symbols*q)
	for i := range b.symbols {
		for k := range q {
			x := sent[2*i+k]
			if q == 1 {
				x = sent[2*i+bit(b.bases, i)]
			}
			v := signal*float64(x) + sigma*float64(noise[i*q+k])
			if tapped != nil {
				v += float64(tapped[i*q+k])
			}
			y[i*q+k] = convert(v)
		}
	}
	return y
}

// flash is the mean number of photons that reach the receiver in a flash of
// noise light.
const flash = 25

// tapped is what the eavesdropper adds to each value measured; nil where there
// is none.
func (r *round) tapped(b *batch) []float32 {
	a := r.Attacked()
	if a.Strength == 0 {
		return nil
	}
	q := r.dev.quadratures()
	l := r.dev.linear(r.t, r.dev.Xi, 1)
	probability, variance := a.Strength, 2*l.gain*l.gain // intercept-resend: 2 at the channel's input
	if a.Kind == quantum.Noise {
		probability, variance = a.Strength/100, 2*flash*r.dev.Eta/float64(q)
	}
	c := stream(r.setup.World, forTap, r.start, b.index)
	struck := coins(b.symbols, probability, c)
	out := make([]float32, (b.symbols*q+1)&^1)
	normals(out, c)
	sd := float32(math.Sqrt(variance))
	for i := range b.symbols {
		for k := range q {
			out[i*q+k] *= sd * float32(bit(struck, i))
		}
	}
	return out
}

// tell draws a frame's raw key bits and says how each eight values are to be
// turned to lie along the corner that the bits name.
func (r *round) tell(ctx context.Context, index int, y []int16, checks int) error {
	code, err := r.codes.get(checks)
	if err != nil {
		return err
	}
	n := len(y)
	c := stream(r.setup.World, forBits, r.start, index)
	words := make([]uint64, n/64)
	for i := range words {
		words[i] = c.Uint64()
	}
	f := &frame{index: index, alphas: make([]int8, n), lengths: make([]uint16, n/8), syndrome: make([]uint64, (checks+63)/64)}
	for g := range n / 8 {
		var o octonion
		for i := range o {
			o[i] = float32(value(y[8*g+i]))
		}
		alpha, length := rotation(corner(words[g/8]>>(g%8*8)&0xff), o)
		for i, a := range alpha {
			f.alphas[8*g+i] = int8(math.Round(float64(a) * alphaSteps))
		}
		f.lengths[g] = uint16(min(math.Round(length*lengthSteps), math.MaxUint16))
	}
	code.Syndrome(f.syndrome, words)
	f.parity = remainder(words)
	r.bits = append(r.bits, words...)
	r.leak += int64(checks) + parityBits
	return r.w.Send(ctx, typeFrame, f.marshal(checks))
}

// help discloses bits of the frames of a batch for which the sender asks.
func (r *round) help(ctx context.Context, from, full int) error {
	n := r.dev.frame()
	for step := 0; step < maxHelp && full > 0; step++ {
		msg, err := r.w.Receive(ctx, typeMore, (full+7)/8)
		if err != nil {
			return err
		}
		open, err := parseHelp(msg, full)
		if err != nil {
			return err
		}
		if ones(open) == 0 {
			return nil
		}
		told := distill.NewBits(ones(open) * n / helpShare)
		next := 0
		for i := range full {
			for j := helpAt(step); bit(open, i) == 1 && j < n; j += helpShare {
				told.Set(next, uint64(bit(r.bits, (from+i)*n+j)))
				next++
			}
		}
		r.leak += int64(told.N)
		if err := r.w.Send(ctx, typeHelp, appendBits(nil, told.W, told.N)); err != nil {
			return err
		}
	}
	return nil
}
