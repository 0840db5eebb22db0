package bb84

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// maxClicks bounds what one message tells of.
const maxClicks = 1 << 18

// clicks are what Bob detected in a stretch of pulses: number, basis (1 is the key
// basis) and bit.
type clicks struct {
	from, to uint64 // pulses, to exclusive
	last     bool   // no more of this window
	none     bool   // and no other window comes
	pulse    []uint64
	basis    packer
	value    packer
}

func (c *clicks) reset(from uint64) {
	c.from, c.to, c.last, c.none = from, from, false, false
	c.pulse = c.pulse[:0]
	c.basis.reset()
	c.value.reset()
}

// receiver draws Bob's clicks from the world. It goes from candidate to candidate
// by geometric gaps at the probability of the likeliest intensity and thins them,
// so the work goes with clicks. Used by one goroutine.
type receiver struct {
	device Device
	src    source
	rng    *rand.Rand
	raw    *rand.ChaCha8 // the same numbers
	cond   func(pulse uint64) conditions
	attack quantum.Attack

	table table
	until uint64 // from this pulse on the table has to be made anew
	pos   uint64 // the next pulse
	live  uint64 // first pulse at which the detectors count again
	dead  uint64 // gates
	bob   uint64 // threshold of the key basis, 31 bits

	doubles  int64   // seen
	expected float64 // as many were to be expected of honest light
	since    uint64  // pulse up to which they are counted
}

// conditions hold from a pulse until another: transmittance to the detectors,
// theirs included, and dark count probability of each.
type conditions struct {
	eta, dark float64
	until     uint64
}

// table are the thresholds for one candidate, in 32 bits.
type table struct {
	mean                 float64   // pulses from candidate to candidate, of the exponential law whose whole part is the gap
	accept               [4]uint64 // the last is none's
	double, wrong, mixed [3]uint64
	honest               float64 // double clicks for each pulse without an eavesdropper
}

func newReceiver(w quantum.World, d Device, from uint64, cond func(uint64) conditions) *receiver {
	raw := stream(w, "bb84 clicks", from)
	return &receiver{
		device: d, src: newSource(w, d), raw: raw, rng: rand.New(raw), cond: cond,
		pos: from, until: from, since: from, dead: uint64(d.deadGates()), bob: events.Threshold(d.PXBob, 31),
	}
}

// tune makes the table for the pulses from pos on.
func (r *receiver) tune() {
	r.settle()
	c := r.cond(r.pos)
	r.until = max(c.until, r.pos+1)
	d := r.device
	honest, g := d.gains(c.eta, c.dark), d.under(r.attack, c.eta, c.dark)
	top := max(g.Click[0], g.Click[1], g.Click[2])
	t := table{mean: -1 / math.Log1p(-min(top, 1-1e-9)), honest: d.doubles(honest)}
	for k := range 3 {
		t.accept[k] = events.Threshold(ratio(g.Click[k], top), 32)
		t.double[k] = events.Threshold(ratio(g.Double[k], g.Click[k]), 32)
		single := max(g.Error[k]-g.Double[k]/2, 0) // half of the double clicks err
		t.wrong[k] = t.double[k] + events.Threshold(ratio(single, g.Click[k]), 32)
		t.mixed[k] = events.Threshold(ratio(g.Mixed[k], g.Click[k]), 32)
	}
	r.table = t
}

// doubles is the probability of a double click that counts.
func (d Device) doubles(g Gains) float64 {
	same := d.PX*d.PXBob + (1-d.PX)*(1-d.PXBob)
	return (same*d.mean(g.Double) + (1-same)*d.mean(g.Mixed)) * d.alive(g)
}

// settle brings the expectation of double clicks up to date.
func (r *receiver) settle() {
	r.expected += float64(r.pos-r.since) * r.table.honest
	r.since = r.pos
}

// eavesdrop changes the attack from here on.
func (r *receiver) eavesdrop(a quantum.Attack) {
	if a != r.attack {
		r.attack, r.until = a, r.pos
	}
}

// run detects up to a pulse, or until c is full.
func (r *receiver) run(to uint64, c *clicks) {
	for r.pos < to && len(c.pulse) <= maxClicks-batchSize {
		if r.pos >= r.until {
			r.tune()
		}
		r.batch(min(to, r.until), c)
	}
	r.settle()
	c.to = r.pos
}

// batchSize is how many candidates are drawn before any is judged, so that the
// processor need not guess which of them click.
const batchSize = 64

// batch goes on to the pulse end, or by 64 candidates. At end the gap begins
// afresh: it has no memory.
func (r *receiver) batch(end uint64, c *clicks) {
	var pulse [batchSize]uint64
	n, pos := 0, r.pos
	for n < batchSize && pos < end {
		gap := r.rng.ExpFloat64() * r.table.mean
		if gap >= float64(end-pos) {
			pos = end
			break
		}
		pulse[n] = pos + uint64(gap)
		pos = pulse[n] + 1
		n++
	}
	r.pos = pos
	var word, draw [batchSize]uint64
	var accepted uint64
	for i, p := range pulse[:n] {
		word[i], draw[i] = r.src.word(p), r.raw.Uint64()
		accepted |= below(draw[i]&low32, r.table.accept[r.src.intensity(word[i])&3]) << i
	}
	for ; accepted != 0; accepted &= accepted - 1 {
		i := bits.TrailingZeros64(accepted)
		r.click(pulse[i], word[i], draw[i]>>32, c)
	}
}

// click draws Bob's basis and bit for a pulse that would click; out decides on
// errors and double clicks.
func (r *receiver) click(pulse, w, out uint64, c *clicks) {
	k, v := r.src.intensity(w), r.raw.Uint64()
	basis := below(v>>1&low31, r.bob)
	bit, double := v&1, false
	if basis == r.src.isKey(w) {
		if double = out < r.table.double[k]; !double {
			bit = bitOf(w) ^ below(out, r.table.wrong[k])
		}
	} else {
		double = out < r.table.mixed[k]
	}
	r.detect(pulse, basis, bit, double, c)
}

// detect counts a click unless the detectors are dead. A click of any holds all of
// them off: were the others to go on, the next bit would be the other one more often
// than not, and the next basis the other one, for all to see who know the times. A
// double click has a random bit.
func (r *receiver) detect(pulse, basis, bit uint64, double bool, c *clicks) {
	if pulse < r.live {
		return
	}
	r.live = pulse + 1 + r.dead
	if double {
		r.doubles++
	}
	c.pulse = append(c.pulse, pulse)
	c.basis.put(basis, 1)
	c.value.put(bit, 1)
}
