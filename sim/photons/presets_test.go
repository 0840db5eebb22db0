package photons

import (
	"context"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
	"github.com/quantum-secure-cloud/qsc/quantum/preset"
)

// Presets that fill a block so soon are run at the pace of their clocks.
const soon = 15 * time.Second

// channels are where the live presets are at home, in dB; others are tried at 6 dB.
var channels = map[string]float64{"tokyo-45km": 14.5, "metro-snspd": 6, "metro-apd": 6.5, "metro-one-decoy": 2.5, "sns-live": 31.7, "cv-metro-live": 1}

// Every preset that can be run and fills a block within seconds opens, and makes a
// key block that is the same at both ends of a connection on this machine.
func TestPresets(t *testing.T) {
	long(t)
	ran := 0
	for _, p := range preset.All() {
		d, ok := p.Device.(distill.Runnable)
		if !ok || d.Kind() == "satellite" { // whose passes TestBuiltin waits for
			continue
		}
		loss, known := channels[p.Name]
		if !known {
			loss = 6
		}
		ch := quantum.Channel{Loss: loss}
		expected, err := d.Predict(ch)
		if err != nil {
			t.Error(p.Name, err)
			continue
		}
		if expected.Rate <= 0 || expected.Fill <= 0 || expected.Fill > soon || expected.Sifted > 20e6 {
			t.Logf("%s: not run: %v in %v", p.Name, expected.Rate, expected.Fill)
			continue
		}
		ran++
		t.Run(p.Name, func(t *testing.T) { once(t, p.Name, d, ch) })
	}
	if ran < 6 {
		t.Errorf("only %d presets were run", ran)
	}
}

// once makes a block of key.
func once(t *testing.T, name string, d distill.Runnable, ch quantum.Channel) {
	dirs := [2]durable.FS{durable.Mem(1 << 26), durable.Mem(1 << 26)}
	if err := distill.Found(dirs, rand.Reader); err != nil {
		t.Fatal(err)
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	world := quantum.World{Seed: [32]byte{3}, Start: time.Now()}
	var blocks [2]quantum.KeyBlock
	var links [2]*distill.Link
	for role := distill.Alice; role <= distill.Bob; role++ {
		p, err := d.Protocol(distill.Setup{Role: role, World: world, Channel: ch, Pace: true})
		if err != nil {
			t.Fatal(err)
		}
		c := distill.Config{Link: "ab", Role: role, Block: 512, FS: dirs[role], Protocol: p, Device: name, Kind: d.Kind(), Class: qsc.Simulated}
		if d.Kind() != "cv" {
			c.Reconciler = cascade.New(cascade.Config{})
		}
		if role == distill.Alice {
			c.Listen = listen
		} else {
			c.Dial = func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", listen.Addr().String())
			}
		}
		if links[role], err = distill.Open(c); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = links[role].Close() })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for role, l := range links {
		if blocks[role], err = l.Next(ctx, func(seq uint64) bool { return seq == 0 }); err != nil {
			t.Fatalf("%v; status %+v", err, l.Status())
		}
	}
	a, b := blocks[0], blocks[1]
	if a.Seq != b.Seq || a.ID != b.ID || !a.Key.Equal(b.Key) || a.Bound != b.Bound || a.Class&qsc.Simulated == 0 {
		t.Error("the two ends' blocks differ")
	}
	t.Logf("%s: %.2f %% error, f %.3f, %d bits in a round", a.Bound, 100*a.QBER, a.Efficiency, links[0].Records(1)[0].Length)
}
