package bb84

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// How many times faster than a 1 GHz device at 14.5 dB both ends run on one core.
func BenchmarkRealtime45km(b *testing.B) {
	var sum float64
	n := 0
	for b.Loop() {
		f, err := Realtime(quick(), quantum.Channel{Loss: 14.5, Distance: 45}, 0.2)
		if err != nil {
			b.Fatal(err)
		}
		sum += f
		n++
	}
	b.ReportMetric(sum/float64(n), "x")
}

// The bookkeeping of both ends for each detection, without drawing it.
func BenchmarkSift(b *testing.B) {
	d := quick().full()
	w := world(3)
	e := &end{device: d, loss: 14.5}
	r := newReceiver(w, d, 0, e.conditions)
	c := new(clicks)
	c.reset(0)
	r.run(1<<26, c)
	s, l := &sender{src: newSource(w, d)}, &listener{}
	var buf []byte
	for b.Loop() {
		s.key.reset()
		l.key.reset()
		var err error
		if buf, err = exchange(s, l, c, buf, d.Decoys); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(c.pulse))/b.Elapsed().Seconds()/1e6, "Mclick/s")
}

// Drawing alone.
func BenchmarkReceiver(b *testing.B) {
	d := quick().full()
	e := &end{device: d, loss: 14.5}
	r := newReceiver(world(3), d, 0, e.conditions)
	c := new(clicks)
	n := 0
	for b.Loop() {
		c.reset(r.pos)
		r.run(r.pos+1e7, c)
		n += len(c.pulse)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mclick/s")
}
