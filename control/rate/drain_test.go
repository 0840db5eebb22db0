package rate

import (
	"slices"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"pgregory.net/rapid"
)

func TestDry(t *testing.T) {
	for _, c := range []struct {
		r  Reserve
		in time.Duration
		ok bool
	}{
		{Reserve{Stock: 1000, Fill: 80, Draw: 160}, 100 * time.Second, true},
		{Reserve{Stock: 1000, Fill: 160, Draw: 160}, forever, false},
		{Reserve{Stock: 0, Draw: 8}, 0, true},
		{Reserve{Stock: -5, Draw: 8}, 0, true},
		{Reserve{Stock: 1 << 60, Draw: 8}, forever, true},
	} {
		if in, ok := c.r.Dry(); in != c.in || ok != c.ok {
			t.Errorf("%+v: %v, %t; want %v, %t", c.r, in, ok, c.in, c.ok)
		}
	}
}

func TestLeave(t *testing.T) {
	users := []User{{Flow: 0, Takes: 800, Priority: 1}, {Flow: 1, Takes: 80}, {Flow: 2, Takes: 400}, {Flow: 3, Takes: 900, Stuck: true}, {Flow: 4}}
	r := Reserve{Stock: 6000, Draw: 2180}
	for _, c := range []struct {
		horizon time.Duration
		want    []int
	}{
		{20 * time.Second, nil},
		{25 * time.Second, []int{2}},
		{28 * time.Second, []int{2, 1}},
		{50 * time.Second, []int{2, 1, 0}},
		{time.Hour, []int{2, 1, 0}}, // the stuck one stays whatever comes
	} {
		if got := r.Leave(users, c.horizon); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v leave, want %v", c.horizon, got, c.want)
		}
	}
}

// Whoever leaves, it was needed: without the last one to go the stock would not
// have lasted.
func TestLeaveIsNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Reserve{Stock: rapid.Int64Range(0, 1<<20).Draw(t, "stock"), Fill: qsc.BitRate(rapid.IntRange(0, 5000).Draw(t, "fill"))}
		var users []User
		for i := range rapid.IntRange(0, 10).Draw(t, "users") {
			u := User{i, qsc.BitRate(rapid.IntRange(0, 2000).Draw(t, "takes")), rapid.IntRange(0, 2).Draw(t, "priority"), rapid.Bool().Draw(t, "stuck")}
			users = append(users, u)
			r.Draw += u.Takes
		}
		horizon := time.Duration(rapid.IntRange(1, 100_000).Draw(t, "seconds")) * time.Second
		leave := r.Leave(users, horizon)
		rest := r
		for k, i := range leave {
			if users[i].Stuck || !rest.DryWithin(horizon) || slices.Contains(leave[:k], i) {
				t.Fatalf("%d need not have left", i)
			}
			rest.Draw -= users[i].Takes
		}
		for _, u := range users {
			if rest.DryWithin(horizon) && !u.Stuck && u.Takes > 0 && !slices.Contains(leave, u.Flow) {
				t.Fatalf("%d could have left and the stock does not last", u.Flow)
			}
		}
	})
}
