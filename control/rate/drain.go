package rate

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Reserve is one direction of a link: the stock that flows draw on and what
// refills it.
type Reserve struct {
	Stock int64       // bytes
	Fill  qsc.BitRate // what the link makes for this direction
	Draw  qsc.BitRate // what all its users take
}

const forever = time.Duration(math.MaxInt64)

// Dry returns how long the stock lasts. ok is false when it does not shrink.
func (r Reserve) Dry() (in time.Duration, ok bool) {
	net := float64(r.Draw-r.Fill) / 8
	if net <= 0 {
		return forever, false
	}
	s := float64(max(r.Stock, 0)) / net
	if s >= forever.Seconds() {
		return forever, true
	}
	return time.Duration(s * float64(time.Second)), true
}

// DryWithin reports whether the stock is gone before the horizon. New paths
// should avoid such a direction (route.State.Avoid).
func (r Reserve) DryWithin(horizon time.Duration) bool {
	in, ok := r.Dry()
	return ok && in < horizon
}

// User is a flow on a direction of a link.
type User struct {
	Flow     int         // the caller's number of it
	Takes    qsc.BitRate // of this direction
	Priority int
	Stuck    bool // there is nowhere else to go
}

// Leave picks the flows that should move away, in the order in which to move
// them, so that what stays lasts for the horizon: as few as will do of the
// lowest priority first. When that cannot be had, all that can move are picked.
// A direction that lasts keeps everybody.
func (r Reserve) Leave(users []User, horizon time.Duration) []int {
	var movable []User
	for _, u := range users {
		if !u.Stuck && u.Takes > 0 {
			movable = append(movable, u)
		}
	}
	slices.SortFunc(movable, func(a, b User) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Takes, a.Takes), cmp.Compare(a.Flow, b.Flow))
	})
	var leave []int
	for _, u := range movable {
		if !r.DryWithin(horizon) {
			break
		}
		r.Draw -= u.Takes
		leave = append(leave, u.Flow)
	}
	return leave
}
