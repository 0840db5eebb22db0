package bb84

import (
	"context"
	"math/bits"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

func TestExplore(t *testing.T) {
	for _, p := range Presets() {
		d := p.Device.(Device)
		loss := map[string]float64{"lim-apd": 20, "rusca-snspd": 26, "tokyo-45km-field": 14.5, "tokyo-45km": 14.5, "toshiba-10mbps": 2, "ustc-110mbps": 1.9, "gys": 10, "metro-apd": 6.5, "metro-snspd": 6, "metro-one-decoy": 2.5}[p.Name]
		ch := quantum.Channel{Loss: loss}
		pr, err := d.Predict(ch)
		o, _ := d.Optimise(ch)
		po, _ := o.Predict(ch)
		f, _ := Realtime(d, ch, 0.05)
		t.Log(p.Name, pr.Rate, "opt", po.Rate, pr.Sifted, pr.QBER, pr.Fill, "x", f, "mu", o.Mu1, o.Mu2, o.Mu3, "p", o.P1, o.P2, "px", o.PX, err)
		if d.Block > 1e7 { d.Block = 1e7; pr, _ = d.Predict(ch) }
		e := ends(t, 1, Link{Device: d}, ch)
		at := time.Now()
		s, errs := distilltest.Sift(context.Background(), e, distilltest.At(0))
		if errs[0] != nil || errs[1] != nil {
			t.Error(errs)
			continue
		}
		n := 0
		for i, w := range s[0].Bits.W {
			n += bits.OnesCount64(w ^ s[1].Bits.W[i])
		}
		q := float64(n) / float64(s[0].Bits.N)
		l, err := e[0].Length(s[0], distill.Outcome{Sifted: int64(s[0].Bits.N), Kept: int64(s[0].Bits.N), Errors: int64(n), Leak: int64(entropy(q) * d.FEC * float64(s[0].Bits.N)), EpsCor: 1e-12})
		t.Log(time.Since(at), s[0].Bits.N, q, s[0].QBER, float64(l.Bits)/s[0].Until.Sub(distilltest.At(0).At).Seconds()/float64(pr.Rate), l.Phi, err)
		b := e[1].(*end)
		t.Log("doubles", b.doubles, b.expected)
	}
}
