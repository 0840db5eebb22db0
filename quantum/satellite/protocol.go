package satellite

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bb84"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// Protocol implements distill.Runnable. Alice is the satellite. A round of
// distillation waits for the next pass that is worth it (known beforehand: high
// enough, dark enough, clear sky) and makes one block of it; a pass is never joined
// with another. Errors: Invalid.
func (d Device) Protocol(s distill.Setup) (distill.Protocol, error) {
	if err := d.check("satellite.Protocol"); err != nil {
		return nil, err
	}
	p := &protocol{d: d, setup: s, sky: &forecast{seed: s.World.Seed, station: d.Station()}}
	if p.setup.Now == nil {
		p.setup.Now = time.Now
	}
	var err error
	if p.base, err = d.base(s.World.Start, p.sky); err != nil {
		return nil, err
	}
	if _, err := p.open(0); err != nil {
		return nil, err
	}
	return p, nil
}

// protocol is one end. It lends package bb84 the loss of the moment and the times of
// light.
type protocol struct {
	d     Device
	setup distill.Setup
	base  time.Time // satellite time at World.Start

	mu     sync.Mutex
	sky    *forecast
	inner  distill.Protocol // of era
	era    int64
	attack quantum.Attack
	pass   Pass // under way or awaited
	from   time.Time
	to     time.Time
}

// made is what a round of an era was made with.
type made struct {
	inner   distill.Protocol
	private any
	pass    Pass
}

// open returns the inner protocol of an era.
func (p *protocol) open(n int64) (distill.Protocol, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inner != nil && p.era == n {
		return p.inner, nil
	}
	s := p.setup
	s.Channel = quantum.Channel{}
	s.World.Start = s.World.Start.Add(time.Duration(n) * era)
	r := events.Stream(p.setup.World, fmt.Sprintf("satellite/era/%d", n))
	for i := range s.World.Seed {
		s.World.Seed[i] = byte(r.Uint32())
	}
	c := clockOf(p.base, p.d.Timescale, n)
	inner, err := bb84.NewProtocol(s, bb84.Link{Device: p.d.fast(), Loss: p.d.loss(c), Window: p.window(c)})
	if err != nil {
		return nil, err
	}
	if a, ok := inner.(quantum.Attackable); ok && p.attack.Strength > 0 {
		if err := a.Attack(p.attack); err != nil {
			return nil, err
		}
	}
	p.inner, p.era = inner, n
	return inner, nil
}

// fast is the device pair in real time.
func (d Device) fast() bb84.Device {
	b := d.BB84
	b.Clock *= d.Timescale
	b.DeadTime /= d.Timescale
	return b
}

// step is how long a loss holds, in satellite time.
const step = time.Second

// loss is the link's loss and sky light at a time of an era.
func (d Device) loss(c clock) func(time.Duration) (float64, float64, time.Duration) {
	v := newView(d.Orbit, d.Station())
	hold := time.Duration(float64(step) / d.Timescale)
	return func(real time.Duration) (float64, float64, time.Duration) {
		t := c.at(real + hold/2)
		elevation, slant := v.look(t.Sub(d.Epoch).Seconds())
		background := d.background(v.st.SunElevation(t))
		if elevation <= 0 {
			return 300, background, hold
		}
		return d.Budget(slant, degrees(elevation)), background, hold
	}
}

// window is the next pass of use after a time of an era.
func (p *protocol) window(c clock) func(time.Duration) (time.Duration, time.Duration, bool) {
	return func(after time.Duration) (time.Duration, time.Duration, bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		use, ok := p.d.next(c.at(after), p.sky, 0)
		return max(c.real(use.Rise), after), c.real(use.Set), ok
	}
}

// Sift implements distill.Protocol.
func (p *protocol) Sift(ctx context.Context, w distill.Wire, start distill.Start) (*distill.Sifted, error) {
	n := max(int64(start.At.Sub(p.setup.World.Start)/era), 0)
	inner, err := p.open(n)
	if err != nil {
		return nil, err
	}
	pass := p.await(n, start.At)
	s, err := inner.Sift(ctx, w, start)
	if err != nil {
		return nil, err
	}
	out := *s
	out.Private = made{inner, s.Private, pass}
	return &out, nil
}

// await notes the pass that a round waits for.
func (p *protocol) await(n int64, at time.Time) Pass {
	c := clockOf(p.base, p.d.Timescale, n)
	begin := p.setup.World.Start.Add(time.Duration(n) * era)
	p.mu.Lock()
	defer p.mu.Unlock()
	if use, ok := p.d.next(c.at(max(at.Sub(begin), 0)), p.sky, 0); ok {
		p.pass, p.from, p.to = use, begin.Add(c.real(use.Rise)), begin.Add(c.real(use.Set))
	}
	return p.pass
}

// Length implements distill.Protocol.
func (p *protocol) Length(s *distill.Sifted, o distill.Outcome) (distill.Length, error) {
	m, ok := s.Private.(made)
	if !ok {
		return distill.Length{}, qsc.E("satellite.Length", qsc.Invalid, "", "these bits were not sifted here")
	}
	bare := *s
	bare.Private = m.private
	l, err := m.inner.Length(&bare, o)
	if err != nil {
		return l, err
	}
	l.Params = maps.Clone(l.Params)
	maps.Copy(l.Params, map[string]any{
		"pass_rise": m.pass.Rise, "pass_max_elevation_deg": m.pass.MaxElevation, "pass_sun_deg": m.pass.SunElevation,
		"altitude_km": p.d.Altitude, "lat_deg": p.d.Lat, "lon_deg": p.d.Lon, "timescale": p.d.Timescale,
	})
	return l, nil
}

// Progress implements distill.Protocol: how much of the pass is over, and how long
// until its end.
func (p *protocol) Progress() distill.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.inner.Progress()
	out.Fraction, out.Left = 0, 0
	if p.to.IsZero() {
		return out
	}
	now := p.setup.Now()
	out.Left = max(p.to.Sub(now), 0)
	if now.After(p.from) {
		out.Fraction = min(float64(now.Sub(p.from))/float64(max(p.to.Sub(p.from), 1)), 1)
	} else {
		out.Sifted = 0
	}
	return out
}

// Attack implements quantum.Attackable at the station's end, where clicks are drawn.
// Errors are those of package bb84.
func (p *protocol) Attack(a quantum.Attack) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	target, ok := p.inner.(quantum.Attackable)
	if !ok {
		return qsc.E("satellite.Attack", qsc.Unsupported, "", "this end cannot be attacked")
	}
	if err := target.Attack(a); err != nil {
		return err
	}
	p.attack = a
	return nil
}

// Close implements distill.Protocol.
func (p *protocol) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inner.Close()
}
