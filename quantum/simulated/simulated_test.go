package simulated

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/quantumtest"
)

func config(s Seed) Config {
	return Config{Link: "x", Seed: s, Rate: 4096 * 8 * 1000, Block: 4096} // a block in a millisecond
}

func TestConform(t *testing.T) {
	quantumtest.Conform(t, func(t *testing.T) quantumtest.Pair {
		// All blocks are there, and none is lost before minutes have passed.
		c := config(NewSeed(time.Now().Add(-2*quantumtest.Blocks*100*time.Millisecond), 3))
		c.Rate /= 100
		return quantumtest.Pair{Link: "x", Epoch: 3, Block: 4096, Open: func(t *testing.T, _ int) quantum.Link {
			l, err := Open(c)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(Config{Link: "x", Seed: NewSeed(time.Now(), 0), Rate: 8 * 4096, Block: 4096}) // one a second
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		start := time.Now()
		for i := range uint64(5) {
			b, err := l.Next(t.Context(), func(uint64) bool { return true })
			if err != nil || b.Seq != i {
				t.Fatalf("block %d, %v", b.Seq, err)
			}
			if took := time.Since(start) - time.Duration(i+1)*time.Second; took < 0 || took > 10*time.Millisecond {
				t.Fatalf("block %d came %v off its time", i, took)
			}
		}
		time.Sleep((3*row + 10 - 5) * time.Second)
		b, err := l.Next(t.Context(), func(uint64) bool { return true })
		if err != nil || b.Seq != 2*row {
			t.Fatalf("after a pause block %d, %v: the device keeps rows of %d", b.Seq, err, row)
		}
	})
}

func TestClockAlarm(t *testing.T) {
	l, err := Open(config(NewSeed(time.Now().Add(time.Hour), 0)))
	if err != nil {
		t.Fatal(err)
	}
	if s := l.Status(); s.Alarm == "" || s.NextBlock < time.Minute || s.Class != qsc.Simulated {
		t.Fatalf("status before the beginning: %+v", s)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []Config{{Rate: 0, Block: 4096}, {Rate: 1, Block: 0}, {Rate: 1, Block: 100}} {
		if _, err := Open(c); !qsc.IsKind(err, qsc.Invalid) {
			t.Fatalf("%+v: %v", c, err)
		}
	}
}

func FuzzParseSeed(f *testing.F) {
	f.Add(NewSeed(time.Unix(1, 0), 7).Marshal())
	f.Add([]byte(`{"key":"AAAA","epoch":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSeed(b)
		if err != nil {
			return
		}
		again, err := ParseSeed(s.Marshal())
		if err != nil || again.Key != s.Key || again.Epoch != s.Epoch || !again.Start.Equal(s.Start) {
			t.Fatalf("a seed does not survive its own file: %v", err)
		}
	})
}

// What a full ring does not want now is there when it does.
func TestUnwantedIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(Config{Link: "x", Seed: NewSeed(time.Now(), 0), Rate: 8 * 4096, Block: 4096})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		time.Sleep(10 * time.Second)
		for _, c := range []struct {
			odd  uint64
			want []uint64
		}{{1, []uint64{1, 3}}, {0, []uint64{0, 2}}, {1, []uint64{5}}} {
			for _, seq := range c.want {
				b, err := l.Next(t.Context(), func(s uint64) bool { return s%2 == c.odd })
				if err != nil || b.Seq != seq {
					t.Fatalf("block %d, %v; want %d", b.Seq, err, seq)
				}
			}
		}
	})
}

// A full ring is asked often where it has just taken something and seldom where
// it stands still.
func TestFullRingCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(config(NewSeed(time.Now(), 0)))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		const still = time.Minute
		begin, looks := time.Now(), 0
		b, err := l.Next(t.Context(), func(seq uint64) bool {
			if seq == 0 {
				looks++
			}
			return seq == 0 && time.Since(begin) > time.Second // a slot comes free
		})
		if took := time.Since(begin); err != nil || b.Seq != 0 || took > time.Second+calm {
			t.Fatalf("block %d after %v, %v", b.Seq, took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), still)
		defer cancel()
		looks = 0
		if _, err := l.Next(ctx, func(seq uint64) bool {
			if seq == 1 {
				looks++
			}
			return false
		}); !qsc.IsKind(err, qsc.Timeout) {
			t.Fatal(err)
		}
		if most := int(still/calm) + 10; looks == 0 || looks > most {
			t.Errorf("%d looks in %v: at most %d are worth it", looks, still, most)
		}
	})
}

// Two ends whose rings were full for long get the same blocks, though they ask
// at different moments.
func TestBothEndsLoseTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := NewSeed(time.Now(), 0)
		var got [2][]uint64
		var ends [2]*Link
		for i := range ends {
			l, err := Open(config(seed))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ends[i] = l
		}
		busy := func(l *Link) { // its ring is full, and it looks now and then
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if _, err := l.Next(ctx, func(uint64) bool { return false }); !qsc.IsKind(err, qsc.Timeout) {
				t.Fatal(err)
			}
		}
		busy(ends[0])
		busy(ends[1])
		for i, pause := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond} { // 10 s: far from a row's end
			time.Sleep(pause)
			for range 20 {
				b, err := ends[i].Next(t.Context(), func(uint64) bool { return true })
				if err != nil {
					t.Fatal(err)
				}
				got[i] = append(got[i], b.Seq)
			}
		}
		if !slices.Equal(got[0], got[1]) || got[0][0] != 3*row {
			t.Errorf("one end got the blocks %v, the other %v", got[0], got[1])
		}
		if st := ends[0].Status(); st.Waiting > 2*row*4096 || st.Waiting < row*4096-20*4096 {
			t.Errorf("%d bytes wait", st.Waiting)
		}
	})
}
