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

func world(seed byte) quantum.World {
	return quantum.World{Seed: [32]byte{seed, 7}, Epoch: 1, Start: distilltest.At(0).At}
}

// ends opens both ends of a link.
func ends(t testing.TB, seed byte, l Link, ch quantum.Channel) (p [2]distill.Protocol) {
	t.Helper()
	for role := range p {
		var err error
		if p[role], err = NewProtocol(distill.Setup{Role: distill.Role(role), World: world(seed), Channel: ch}, l); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func quick() Device {
	return Device{Clock: 1e9, Mu1: 0.5, Mu2: 0.1, Mu3: 2e-4, P1: 0.7, P2: 0.2, PX: 0.9, EtaDet: 0.2, PDark: 1e-5, PAfter: 0.02, EMis: 0.02, DeadTime: 0, FEC: 1.16, Block: 200_000, EpsSec: 1e-10, EpsCor: 1e-15}
}

func TestSmoke(t *testing.T) {
	d := quick()
	ch := quantum.Channel{Loss: 10}
	p := ends(t, 1, Link{Device: d}, ch)
	at := time.Now()
	s, errs := distilltest.Sift(context.Background(), p, distilltest.At(0))
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	n := 0
	for i, w := range s[0].Bits.W {
		n += bits.OnesCount64(w ^ s[1].Bits.W[i])
	}
	pr, _ := d.Predict(ch)
	t.Log(time.Since(at), s[0].Bits.N, s[1].Bits.N, float64(n)/float64(s[0].Bits.N), s[0].QBER, pr, s[0].Until, s[1].Until)
}
