package events

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// Target is the part of a simulated device that an eavesdropper reaches. It
// implements quantum.Attackable.
type Target struct {
	op, sense string
	kinds     []quantum.AttackKind
	attack    atomic.Pointer[quantum.Attack]
}

// NewTarget returns what suffers attacks of some kinds. op is the operation that
// errors name, sense where other kinds "make no sense".
func NewTarget(op, sense string, kinds ...quantum.AttackKind) *Target {
	return &Target{op: op, sense: sense, kinds: kinds}
}

// Attack implements quantum.Attackable. Strength 0 of whatever kind ends the attack.
func (t *Target) Attack(a quantum.Attack) error {
	switch {
	case !(a.Strength >= 0 && a.Strength <= 1): // NaN too
		return qsc.E(t.op, qsc.Invalid, "", "strength %v is not from 0 to 1", a.Strength)
	case a.Strength == 0:
		a = quantum.Attack{}
	case !slices.Contains(t.kinds, a.Kind):
		var names []string
		for _, k := range t.kinds {
			names = append(names, string(k))
		}
		return qsc.E(t.op, qsc.Unsupported, "", "%s makes no sense %s: try %s", a.Kind, t.sense, strings.Join(names, " or "))
	}
	t.attack.Store(&a)
	return nil
}

// Attacked is the attack under way; the zero one where there is none.
func (t *Target) Attacked() quantum.Attack {
	if a := t.attack.Load(); a != nil {
		return *a
	}
	return quantum.Attack{}
}

// End is what the ends of devices with a source or a station in the middle share: a
// target of intercept-resend and noise, and a meter. It implements
// quantum.Attackable and, but for Sift and Length, distill.Protocol. Attacks are
// done at Bob's end, where detections are drawn, from the next run of pulses on; at
// Alice's they have no effect.
type End struct {
	*Target
	Meter
}

// NewEnd returns an end of a kind of device; sense is NewTarget's.
func NewEnd(kind, sense string) *End {
	return &End{Target: NewTarget(kind+".Attack", sense, quantum.InterceptResend, quantum.Noise)}
}

// Close implements distill.Protocol. Nothing is held between rounds.
func (e *End) Close() error { return nil }

// Await returns once a time has come by the setup's clock; at once where the device
// has no pace. Error: Timeout, of the operation, when the context ends before.
func Await(ctx context.Context, op string, s distill.Setup, until time.Time) error {
	if ctx.Err() == nil && s.Pace {
		if left := until.Sub(now(s)); left > 0 {
			t := time.NewTimer(left)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
			}
		}
	}
	if ctx.Err() != nil {
		return qsc.E(op, qsc.Timeout, "", "%w", context.Cause(ctx))
	}
	return nil
}

func now(s distill.Setup) time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
