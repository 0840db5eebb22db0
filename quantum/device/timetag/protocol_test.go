package timetag

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// expected is the rate of true coincidences and their error rate: pairs seen at both
// ends within the window, by the dead times of both, and chance.
func expected(s Simulation, window float64) (hz, qber float64) {
	single := func(eta float64) float64 { return s.PairsHz*eta + 4*s.DarkHz }
	alive := func(eta float64) float64 { return 1 / (1 + single(eta)/4*s.DeadTimeS) }
	a, b := single(s.EtaA)*alive(s.EtaA), single(s.EtaB)*alive(s.EtaB)
	inside := math.Erf(window / 2 / (2 * s.JitterS)) // the difference of two times
	pairs := s.PairsHz * s.EtaA * s.EtaB * alive(s.EtaA) * alive(s.EtaB) * inside
	chance := a * b * window
	return pairs + chance, (pairs*s.EMis + chance/2) / (pairs + chance)
}

// From two directories of clicks with an unknown clock offset to the length of the
// key, with a real reconciliation between; the counts are those that the source gives.
func TestKeyFromClicks(t *testing.T) {
	for name, change := range map[string]func(*Simulation){
		"ahead":       func(*Simulation) {},
		"far behind":  func(s *Simulation) { s.OffsetS, s.Skew = -0.2431, 2e-8 },
		"far ahead":   func(s *Simulation) { s.OffsetS, s.Skew = 0.2499, -5e-8 },
		"exactly one": func(s *Simulation) { s.OffsetS = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := campus
			change(&s)
			r := newRig(t)
			r.cfg.Acquire = 2
			r.write(t, s, 7)
			ends := r.open(t)
			var sifted [2]*distill.Sifted
			var fixed [2]distill.Corrected
			var l [2]distill.Length
			alice, bob := distilltest.Both(t.Context(), func(ctx context.Context, role distill.Role, w *distilltest.Wire) error {
				x, err := ends[role].Sift(ctx, w, begin())
				if err != nil {
					return err
				}
				sifted[role] = &distill.Sifted{Bits: distill.Bits{W: slices.Clone(x.Bits.W), N: x.Bits.N}, Until: x.Until, Private: x.Private}
				n := int64(x.Bits.N)
				if fixed[role], err = cascade.New(cascade.Config{}).Reconcile(ctx, w, role, x.Bits, x.QBER); err != nil {
					return err
				}
				l[role], err = ends[role].Length(x, distill.Outcome{Sifted: n, Kept: n, Leak: fixed[role].Leak, Verify: 64, EpsCor: 1e-10})
				return err
			})
			if alice != nil || bob != nil {
				t.Fatal(alice, bob)
			}
			if n := differ(fixed[0].Bits, fixed[1].Bits); n > 0 {
				t.Errorf("%d bits differ after reconciliation", n)
			}
			if l[0].Bits != l[1].Bits || l[0].Bits < 5000 || l[0].Bound != bbm92.Tomamichel2012 {
				t.Errorf("%d and %d bits of key by %s", l[0].Bits, l[1].Bits, l[0].Bound)
			}
			counted(t, s, sifted)
		})
	}
}

// counted holds the counts against the expectation.
func counted(t *testing.T, s Simulation, x [2]*distill.Sifted) {
	t.Helper()
	c := x[0].Private.(bbm92.Counts)
	if c != x[1].Private.(bbm92.Counts) || x[0].Until != x[1].Until {
		t.Fatal("the ends count otherwise")
	}
	took := x[0].Until.Sub(Begin(world)) - 2*EpochTime // spent on the search
	hz, qber := expected(s, 2e-9)
	want := hz * took.Seconds()
	// The models of dead time and of the filter's first moments are good to half a per
	// cent; the rest is counting.
	if d := math.Abs(float64(c.Coincidences) - want); d > 0.005*want+5*math.Sqrt(want) {
		t.Errorf("%d coincidences, %.0f are expected", c.Coincidences, want)
	}
	for what, n := range map[string]float64{"key bits": float64(x[0].Bits.N), "test bits": float64(c.Tests)} {
		if d := math.Abs(n - want/4); d > 0.005*want/4+5*math.Sqrt(want/4) {
			t.Errorf("%.0f %s, %.0f are expected", n, what, want/4)
		}
	}
	n := float64(c.Tests)
	for what, errs := range map[string]float64{"test": float64(c.Errors), "key": float64(differ(x[0].Bits, x[1].Bits)) * n / float64(x[0].Bits.N)} {
		if z := (errs - n*qber) / math.Sqrt(n*qber); math.Abs(z) > 5 {
			t.Errorf("%.0f errors in the %s basis, %.0f are expected", errs, what, n*qber)
		}
	}
}

// Rounds follow each other without a new search, and share no event.
func TestRounds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Block = 8000
	r.write(t, campus, 10)
	ends := r.open(t)
	start, total := begin(), 0
	for round := range 3 {
		s, errs := sift(t, ends, start)
		if errs != [2]error{} {
			t.Fatal(round, errs)
		}
		took := s[0].Until.Sub(start.At) / EpochTime
		if round > 0 && took > 2 || s[0].Bits.N < 8000 || s[0].Bits.N != s[1].Bits.N {
			t.Errorf("round %d took %d epochs for %d bits", round, took, s[0].Bits.N)
		}
		if q := float64(differ(s[0].Bits, s[1].Bits)) / float64(s[0].Bits.N); q > 0.04 {
			t.Errorf("round %d: %.1f %% of the bits differ", round, 100*q)
		}
		total += s[0].Bits.N
		if round < 2 {
			start.At = s[0].Until.Add(-EpochTime / 2) // asks for an epoch that is told already
		}
	}
	if p := ends[0].Progress(); p.Alarm != "" || p.QBER < 0.01 || p.Sifted < 5000 {
		t.Errorf("%+v", p)
	}
}

// Files that are done with are removed where that is asked for, and none that is not.
func TestRemove(t *testing.T) {
	t.Parallel()
	for _, remove := range []bool{false, true} {
		r := newRig(t)
		r.cfg.Block, r.cfg.Remove = 25_000, remove
		r.write(t, campus, 8)
		s, errs := sift(t, r.open(t), begin())
		if errs != [2]error{} {
			t.Fatal(errs)
		}
		done := EpochAt(s[0].Until) - 1
		for end, path := range r.paths {
			for e := EpochAt(Begin(world)); e <= done; e++ {
				_, err := os.Stat(filepath.Join(path, e.String()))
				if gone := remove && int32(done-e) >= keepBehind; (err != nil) != gone {
					t.Errorf("end %d, %d epochs behind: %v", end, done-e, err)
				}
			}
		}
	}
}

// Files that come one by one, in parts, while both ends wait; one epoch is missing at
// one end.
func TestGrowth(t *testing.T) {
	t.Parallel()
	from := newRig(t)
	from.write(t, campus, 10)
	r := newRig(t)
	r.cfg.Block, r.cfg.Grace = 15_000, time.Minute
	ends := r.open(t)
	var wg sync.WaitGroup
	for end := range r.paths {
		wg.Go(func() { trickle(t, from.paths[end], r.paths[end], end) })
	}
	s, errs := sift(t, ends, begin())
	wg.Wait()
	if errs != [2]error{} {
		t.Fatal(errs)
	}
	if q := float64(differ(s[0].Bits, s[1].Bits)) / float64(s[0].Bits.N); s[0].Bits.N < 15_000 || q > 0.04 {
		t.Errorf("%d bits, %.1f %% of them differ", s[0].Bits.N, 100*q)
	}
}

// trickle copies the epochs from one directory to another as a tagger would write
// them: each in two parts.
func trickle(t *testing.T, from, to string, end int) {
	names, err := filepath.Glob(filepath.Join(from, "????????"))
	if err != nil {
		t.Error(err)
	}
	for i, name := range names {
		if end == 1 && i == 7 {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		f, err := os.Create(filepath.Join(to, filepath.Base(name)))
		if err != nil {
			t.Error(err)
			return
		}
		for _, part := range [][]byte{b[:len(b)/2+3], b[len(b)/2+3:]} {
			if _, err := f.Write(part); err != nil {
				t.Error(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Whatever is wrong, both ends say the same.
func TestAborts(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*rig, *Simulation)
		kind   qsc.Kind
	}{
		"no common source": {func(r *rig, s *Simulation) { r.cfg.Patience = 5 * EpochTime; s.PairsHz, s.DarkHz = 1, 10_000 }, qsc.Scarce},
		"clocks too far":   {func(r *rig, s *Simulation) { r.cfg.Patience = 5 * EpochTime; s.Skew = 5e-6 }, qsc.Scarce},
		"noise":            {func(_ *rig, s *Simulation) { s.EMis = 0.25 }, qsc.Noisy},
		"values exchanged": {func(r *rig, _ *Simulation) { r.cfg.Opposite = [2]bool{true, true} }, qsc.Noisy},
		"little light":     {func(r *rig, _ *Simulation) { r.cfg.Patience, r.cfg.Block = 7*EpochTime, 1e7 }, qsc.Scarce},
		"taggers stop":     {func(r *rig, _ *Simulation) { r.cfg.Block = 1e7 }, qsc.Scarce},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := newRig(t), campus
			c.change(r, &s)
			r.write(t, s, 8)
			ends := r.open(t)
			_, errs := sift(t, ends, begin())
			for end, err := range errs {
				if !qsc.IsKind(err, c.kind) {
					t.Errorf("end %d: %v", end, err)
				}
				if p := ends[end].Progress(); p.Alarm == "" {
					t.Errorf("end %d raises no alarm", end)
				}
			}
		})
	}
}

// A singlet's values are opposite; at Bob's end they are turned over.
func TestOpposite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Block = 3000
	r.write(t, campus, 4)
	ends := r.open(t)
	ends[1].(*Protocol).cfg.Opposite = [2]bool{true, false}
	s, errs := sift(t, ends, begin())
	if errs != [2]error{} {
		t.Fatal(errs)
	}
	if q := float64(differ(s[0].Bits, s[1].Bits)) / float64(s[0].Bits.N); q < 0.95 || s[0].QBER > 0.05 {
		t.Errorf("%.2f of the key differs, and %.2f of the test", q, s[0].QBER)
	}
}

// When Bob's clock is set anew the lock is given up, and found again.
func TestLockIsFoundAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Block = 12_000
	r.write(t, campus, 7)
	jump, s, roots := world, campus, r.roots(t)
	jump.Start, s.OffsetS = jump.Start.Add(9*EpochTime), -0.0777
	if err := s.Simulate(jump, 9, roots[0], roots[1]); err != nil {
		t.Fatal(err)
	}
	ends, start := r.open(t), begin()
	for rounds := 0; start.At.Before(Begin(world).Add(10 * EpochTime)); rounds++ {
		sifted, errs := sift(t, ends, start)
		if errs != [2]error{} {
			t.Fatal(rounds, errs)
		}
		if q := float64(differ(sifted[0].Bits, sifted[1].Bits)) / float64(sifted[0].Bits.N); q > 0.04 {
			t.Errorf("round %d: %.1f %% of the bits differ", rounds, 100*q)
		}
		start.At = sifted[0].Until
	}
}

func TestClassSaysSimulated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ends := r.open(t)
	if c := ends[0].(*Protocol).Class(); c != 0 {
		t.Error("an empty directory:", c)
	}
	r.write(t, campus, 1)
	for _, p := range ends {
		if c := p.(*Protocol).Class(); c != qsc.Simulated {
			t.Error(c)
		}
	}
	roots := r.roots(t)
	if err := campus.Simulate(world, 1, roots[0], roots[1]); !qsc.IsKind(err, qsc.Exists) {
		t.Error("files are replaced:", err)
	}
}

func TestNewRefuses(t *testing.T) {
	r := newRig(t)
	good := r.cfg
	good.Dir = r.paths[0]
	for name, change := range map[string]func(*Config){
		"no random bits": func(c *Config) { c.Random = nil },
		"no block":       func(c *Config) { c.Block = 0 },
		"wide window":    func(c *Config) { c.Window = time.Microsecond },
		"bad wiring":     func(c *Config) { c.Wiring = "ABCD" },
		"no epsilon":     func(c *Config) { c.Security = bbm92.Security{} },
		"unknown bound":  func(c *Config) { c.Security.Bound = "hope" },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(cfg); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.Dir = filepath.Join(good.Dir, "none")
	if _, err := New(good); !qsc.IsKind(err, qsc.NotFound) {
		t.Error(err)
	}
}

// A damaged file, and messages that were changed on their way, are noticed.
func TestDamage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write(t, campus, 7)
	name := filepath.Join(r.paths[0], EpochAt(Begin(world)).String())
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[30] ^= 0x80
	b[31] ^= 0x80
	b[27] ^= 0xff                           // the upper half of the first event's time
	if err := os.Remove(name); err != nil { // the file itself is shared
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := sift(t, r.open(t), begin()); !qsc.IsKind(errs[0], qsc.Corrupt) {
		t.Error(errs)
	}
	r = newRig(t)
	r.write(t, campus, 7)
	for _, end := range []int{0, 1} {
		ends := r.open(t)
		errs := [2]error{}
		errs[0], errs[1] = distilltest.Both(t.Context(), func(ctx context.Context, role distill.Role, w *distilltest.Wire) error {
			if int(role) == end {
				n := 0
				w.Change = func(_ byte, msg []byte) []byte {
					if n++; n == 5 {
						msg[len(msg)/3] ^= 0x55
						return msg[:len(msg)-1]
					}
					return msg
				}
			}
			_, err := ends[role].Sift(ctx, w, begin())
			return err
		})
		if !qsc.IsKind(errs[end], qsc.Corrupt) {
			t.Error(end, errs)
		}
	}
}
