package rate

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"pgregory.net/rapid"
)

func TestFair(t *testing.T) {
	for _, c := range []struct {
		name     string
		capacity []qsc.BitRate
		flows    []Flow
		want     []qsc.BitRate
		short    []int
	}{
		{"one flow has it all", []qsc.BitRate{90}, []Flow{{Links: []int32{0}}}, []qsc.BitRate{90}, nil},
		{"three paths over one link", []qsc.BitRate{90}, []Flow{{Links: []int32{0, 0, 0}}}, []qsc.BitRate{30}, nil},
		{"equal parts", []qsc.BitRate{90}, []Flow{{Links: []int32{0}}, {Links: []int32{0}}, {Links: []int32{0}}}, []qsc.BitRate{30, 30, 30}, nil},
		{"by weight", []qsc.BitRate{90}, []Flow{{Links: []int32{0}, Weight: 2}, {Links: []int32{0}}}, []qsc.BitRate{60, 30}, nil},
		{"who has enough leaves the rest", []qsc.BitRate{90}, []Flow{{Links: []int32{0}, Max: 10}, {Links: []int32{0}}}, []qsc.BitRate{10, 80}, nil},
		{"the narrow link stops one, the wide one goes on", []qsc.BitRate{10, 100},
			[]Flow{{Links: []int32{0, 1}}, {Links: []int32{0}}, {Links: []int32{1}}}, []qsc.BitRate{5, 5, 95}, nil},
		{"a long flow and two short ones", []qsc.BitRate{1, 2},
			[]Flow{{Links: []int32{0, 1}}, {Links: []int32{0}}, {Links: []int32{1}}}, []qsc.BitRate{0.5, 0.5, 1.5}, nil},
		{"a minimum above the fair part", []qsc.BitRate{90},
			[]Flow{{Links: []int32{0}, Min: 60}, {Links: []int32{0}}, {Links: []int32{0}}}, []qsc.BitRate{60, 15, 15}, nil},
		{"a minimum below the fair part changes nothing", []qsc.BitRate{90},
			[]Flow{{Links: []int32{0}, Min: 20}, {Links: []int32{0}}, {Links: []int32{0}}}, []qsc.BitRate{30, 30, 30}, nil},
		{"priority takes what it can use", []qsc.BitRate{90},
			[]Flow{{Links: []int32{0}}, {Links: []int32{0}, Priority: 1, Max: 70}}, []qsc.BitRate{20, 70}, nil},
		{"a minimum holds against a higher priority", []qsc.BitRate{90},
			[]Flow{{Links: []int32{0}, Min: 40}, {Links: []int32{0}, Priority: 1}}, []qsc.BitRate{40, 50}, nil},
		{"minima that do not fit go by priority", []qsc.BitRate{90},
			[]Flow{{Links: []int32{0}, Min: 60}, {Links: []int32{0}, Min: 60, Priority: 1}}, []qsc.BitRate{30, 60}, []int{0}},
		{"minima of one priority that do not fit share", []qsc.BitRate{90},
			[]Flow{{Links: []int32{0}, Min: 10}, {Links: []int32{0}, Min: 60}, {Links: []int32{0}, Min: 60}}, []qsc.BitRate{10, 40, 40}, []int{1, 2}},
		{"no path", []qsc.BitRate{90}, []Flow{{Min: 1}, {}}, []qsc.BitRate{0, 0}, []int{0}},
		{"a dead link", []qsc.BitRate{0, 9}, []Flow{{Links: []int32{0, 1}, Min: 1}, {Links: []int32{1}}}, []qsc.BitRate{0, 9}, []int{0}},
		{"minimum above maximum", []qsc.BitRate{90}, []Flow{{Links: []int32{0}, Min: 60, Max: 50}}, []qsc.BitRate{50}, nil},
		{"nothing", nil, nil, []qsc.BitRate{}, nil},
	} {
		s, err := Fair(c.capacity, c.flows)
		if err != nil || !slices.EqualFunc(s.Rates, c.want, close) || !slices.Equal(s.Short, c.short) {
			t.Errorf("%s: %v, short %v, %v; want %v, %v", c.name, s.Rates, s.Short, err, c.want, c.short)
		}
	}
}

func close(a, b qsc.BitRate) bool { return math.Abs(float64(a-b)) <= 1e-7*math.Max(1, float64(b)) }

func TestStoppedNamesTheLink(t *testing.T) {
	s, err := Fair([]qsc.BitRate{10, 100}, []Flow{{Links: []int32{0, 1}}, {Links: []int32{1}, Max: 40}, {Links: []int32{1}}, {}})
	if err != nil || !slices.Equal(s.Stopped, []int32{0, None, 1, None}) {
		t.Errorf("%v, %v", s.Stopped, err)
	}
	if !close(s.Left[0], 0) || !close(s.Left[1], 0) {
		t.Errorf("left: %v", s.Left)
	}
}

func TestFairRefuses(t *testing.T) {
	inf, nan := qsc.BitRate(math.Inf(1)), qsc.BitRate(math.NaN())
	for _, c := range []struct {
		capacity []qsc.BitRate
		flow     Flow
	}{
		{[]qsc.BitRate{-1}, Flow{}}, {[]qsc.BitRate{nan}, Flow{}}, {[]qsc.BitRate{inf}, Flow{}},
		{nil, Flow{Links: []int32{0}}}, {[]qsc.BitRate{1}, Flow{Links: []int32{-1}}},
		{nil, Flow{Min: -1}}, {nil, Flow{Max: nan}}, {nil, Flow{Weight: -2}}, {nil, Flow{Min: inf}},
	} {
		if _, err := Fair(c.capacity, []Flow{c.flow}); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%v, %+v: %v", c.capacity, c.flow, err)
		}
	}
}

// certify holds a share against what fair means, without knowing how it was
// come by: nothing is overdrawn, and whoever could do with more is stopped by a
// used-up link on which nobody could be asked to give way.
func certify(capacity []qsc.BitRate, flows []Flow, s Share) error {
	load := make([]float64, len(capacity))
	on := make([][]int, len(capacity))
	for i, f := range flows {
		for _, l := range f.Links {
			load[l] += float64(s.Rates[i])
			on[l] = append(on[l], i)
		}
	}
	used := make([]bool, len(capacity))
	for l, c := range capacity {
		slack := 1e-6 * math.Max(1, float64(c))
		if load[l] > float64(c)+slack {
			return fmt.Errorf("link %d: %v of %v", l, load[l], c)
		}
		if math.Abs(float64(s.Left[l])-(float64(c)-load[l])) > slack {
			return fmt.Errorf("link %d: left %v of %v with %v taken", l, s.Left[l], c, load[l])
		}
		used[l] = load[l] >= float64(c)-slack
	}
	for i := range flows {
		if err := certifyFlow(flows, s, i, used, on); err != nil {
			return err
		}
	}
	return nil
}

func certifyFlow(flows []Flow, s Share, i int, used []bool, on [][]int) error {
	f, x := flows[i], float64(s.Rates[i])
	most := float64(f.Max)
	if f.Max == 0 {
		most = math.Inf(1)
	}
	lowest := math.Min(float64(f.Min), most)
	short := x < lowest*(1-1e-6)-1e-9
	switch {
	case x < 0 || x > most*(1+1e-9):
		return fmt.Errorf("flow %d has %v of at most %v", i, x, most)
	case short && !slices.Contains(s.Short, i):
		return fmt.Errorf("flow %d has %v, below its minimum %v, and nobody is told", i, x, lowest)
	case x >= most*(1-1e-6) || len(f.Links) == 0:
		return nil
	}
	for _, l := range f.Links {
		if used[l] && !slices.ContainsFunc(on[l], func(j int) bool { return givesWay(flows, s, j, i, short) }) {
			return nil
		}
	}
	return fmt.Errorf("flow %d has %v and could have more", i, x)
}

// givesWay reports whether j should have had less for the sake of i.
func givesWay(flows []Flow, s Share, j, i int, short bool) bool {
	a, b := flows[j], flows[i]
	x, own := float64(s.Rates[j]), float64(a.Min)*(1+1e-6)+1e-9
	if a.Max != 0 {
		own = math.Min(own, float64(a.Max))
	}
	more := x/weight(a) > float64(s.Rates[i])/weight(b)*(1+1e-6)+1e-9
	switch {
	case j == i:
		return false
	case short: // a minimum of lower or equal priority, or anything above a minimum
		return x > own || a.Priority < b.Priority && x > 1e-9 || a.Priority == b.Priority && more
	case a.Priority > b.Priority || x <= own:
		return false
	}
	return a.Priority < b.Priority || more
}

func weight(f Flow) float64 {
	if f.Weight == 0 {
		return 1
	}
	return f.Weight
}

func drawCase(t *rapid.T) ([]qsc.BitRate, []Flow) {
	number := rapid.Float64Range(0, 1000)
	if rapid.Bool().Draw(t, "whole") { // ties
		number = rapid.Map(rapid.IntRange(0, 8), func(i int) float64 { return float64(i) })
	}
	var capacity []qsc.BitRate
	for range rapid.IntRange(1, 8).Draw(t, "links") {
		capacity = append(capacity, qsc.BitRate(number.Draw(t, "capacity")))
	}
	var flows []Flow
	for range rapid.IntRange(0, 12).Draw(t, "flows") {
		f := Flow{Links: rapid.SliceOfN(rapid.Int32Range(0, int32(len(capacity)-1)), 0, 6).Draw(t, "uses"),
			Priority: rapid.IntRange(0, 2).Draw(t, "priority"), Weight: rapid.SampledFrom([]float64{0, 1, 2, 0.3}).Draw(t, "weight")}
		if rapid.Bool().Draw(t, "limited") {
			f.Max = qsc.BitRate(number.Draw(t, "max"))
		}
		if rapid.Bool().Draw(t, "guaranteed") {
			f.Min = qsc.BitRate(number.Draw(t, "min")) / 4
		}
		flows = append(flows, f)
	}
	return capacity, flows
}

func TestFairIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity, flows := drawCase(t)
		s, err := Fair(capacity, flows)
		if err == nil {
			err = certify(capacity, flows, s)
		}
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := Fair(capacity, flows); !reflect.DeepEqual(s, again) {
			t.Fatal("not the same twice")
		}
	})
}

// The certificate is no rubber stamp: it refuses shares that are slightly off.
func TestCertificateRefuses(t *testing.T) {
	capacity := []qsc.BitRate{90}
	flows := []Flow{{Links: []int32{0}}, {Links: []int32{0}, Min: 10}, {Links: []int32{0}, Priority: 1, Max: 10}}
	for _, rates := range [][]qsc.BitRate{{41, 39, 10}, {39, 41, 10}, {40, 40, 9}, {40, 40, 11}, {41, 41, 10}, {35, 35, 10}} {
		s := Share{Rates: rates, Left: []qsc.BitRate{90 - rates[0] - rates[1] - rates[2]}}
		if certify(capacity, flows, s) == nil {
			t.Errorf("%v passes", rates)
		}
	}
	if err := certify(capacity, flows, Share{Rates: []qsc.BitRate{40, 40, 10}, Left: []qsc.BitRate{0}}); err != nil {
		t.Error(err)
	}
}

// large is 10,000 flows of three paths with 20 links each.
func large() ([]qsc.BitRate, []Flow) {
	x := uint64(1)
	next := func(n int) int {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		return int(x % uint64(n))
	}
	capacity := make([]qsc.BitRate, 2_000)
	for l := range capacity {
		capacity[l] = qsc.BitRate(10_000 + next(1_000_000))
	}
	flows := make([]Flow, 10_000)
	for i := range flows {
		for range 60 {
			flows[i].Links = append(flows[i].Links, int32(next(len(capacity))))
		}
		flows[i].Min, flows[i].Max = qsc.BitRate(next(100)), qsc.BitRate(100+next(5_000))
		flows[i].Priority = next(3)
	}
	return capacity, flows
}

func TestFairAtSize(t *testing.T) {
	capacity, flows := large()
	s, err := Fair(capacity, flows)
	if err == nil {
		err = certify(capacity, flows, s)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkFair10000(b *testing.B) {
	capacity, flows := large()
	for b.Loop() {
		if _, err := Fair(capacity, flows); err != nil {
			b.Fatal(err)
		}
	}
}
