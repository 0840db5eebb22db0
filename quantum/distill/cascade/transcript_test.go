package cascade

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// TestTranscripts replays calls between two ends and shows each message, so that a
// change of the protocol does not pass unseen. Rewrite with -rewrite.
//
//	reconcile bits=N estimate=Q errors=(i,j,…) [bob=Q] [frame=N]
//
// Alice's bits are drawn from a fixed seed.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, file string) {
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "reconcile" {
				t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			}
			return replay(t, d)
		})
	})
}

func replay(t *testing.T, d *datadriven.TestData) string {
	var n int
	var q float64
	var errors []int
	c := Config{}
	d.ScanArgs(t, "bits", &n)
	d.ScanArgs(t, "estimate", &q)
	d.MaybeScanArgs(t, "errors", &errors)
	d.MaybeScanArgs(t, "frame", &c.Frame)
	guess := [2]float64{q, q}
	d.MaybeScanArgs(t, "bob", &guess[1])
	a := random(n, rand.New(rand.NewPCG(4, 2)))
	b := distill.Bits{W: slices.Clone(a.W), N: n}
	for _, i := range errors {
		b.Set(i, b.Bit(i)^1)
	}
	var seen [2][]string // by the end that received
	r := both(t.Context(), pair(c), [2]distill.Bits{a, b}, guess, func(role distill.Role, w *distilltest.Wire) {
		w.Change = func(typ byte, msg []byte) []byte {
			seen[role] = append(seen[role], fmt.Sprintf("%s %#x %s\n", [2]string{"alice <-", "bob   <-"}[role], typ, digest(msg)))
			return msg
		}
	})
	return story(seen, r)
}

// story puts the messages in the order of sending: Alice begins, then they take
// turns.
func story(seen [2][]string, r result) string {
	var s strings.Builder
	for i, m := range seen[1] {
		s.WriteString(m)
		if i > 0 && i <= len(seen[0]) {
			s.WriteString(seen[0][i-1])
		}
	}
	for role, err := range r.errs {
		if err != nil {
			fmt.Fprintf(&s, "%s: %v\n", [2]string{"alice", "bob"}[role], qsc.KindOf(err))
		}
	}
	if r.errs[0] == nil && r.errs[1] == nil {
		fmt.Fprintf(&s, "leak %d and %d, equal %v\n", r.out[0].Leak, r.out[1].Leak, r.equal())
	}
	return s.String()
}

// digest shows short messages whole and of long ones the beginning.
func digest(b []byte) string {
	if len(b) <= 32 {
		return fmt.Sprintf("%x", b)
	}
	return fmt.Sprintf("%x… %d bytes", b[:32], len(b))
}
