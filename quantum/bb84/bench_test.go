package bb84

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// channels are what the presets are made for, in dB.
var channels = map[string]float64{
	"lim-apd": 20, "rusca-snspd": 26, "tokyo-45km-field": 14.5, "tokyo-45km": 14.5, "toshiba-10mbps": 2,
	"ustc-110mbps": 1.9, "gys": 10, "metro-apd": 6.5, "metro-snspd": 6, "metro-one-decoy": 2.5,
}

// How many times faster than the devices both ends run on one core.
func BenchmarkRealtime(b *testing.B) {
	for _, p := range live() {
		b.Run(p.Name, func(b *testing.B) {
			var sum float64
			for b.Loop() {
				f, err := Realtime(p.Device.(Device), quantum.Channel{Loss: channels[p.Name]}, 0.25)
				if err != nil {
					b.Fatal(err)
				}
				sum += f
			}
			b.ReportMetric(sum/float64(b.N), "x")
		})
	}
}

func drawn(d Device, loss float64) (*receiver, *clicks) {
	d = d.full()
	e := &end{device: d, loss: loss}
	return newReceiver(world(3), d, 0, e.conditions), new(clicks)
}

// The bookkeeping of both ends for each detection, without drawing it.
func BenchmarkSift(b *testing.B) {
	d := quick().full()
	r, c := drawn(d, 14.5)
	c.reset(0)
	r.run(1<<26, c)
	s, l := &sender{src: r.src}, &listener{}
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
	r, c := drawn(quick(), 14.5)
	n := 0
	for b.Loop() {
		c.reset(r.pos)
		r.run(r.pos+1e7, c)
		n += len(c.pulse)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mclick/s")
}
