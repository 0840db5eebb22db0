package ldpc

import (
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

var typeNames = map[byte]string{typeShape: "shape", typeSyndrome: "syndrome", typeReport: "report", typeAnswer: "answer"}

// A transcript pins what Alice sends to the byte. Of Bob's reports it pins the
// form alone: which bits a decoder doubts rests on the rounding of floats.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, file string) {
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			var bits, frame int
			var seed uint64
			var estimate, errors string
			d.ScanArgs(t, "bits", &bits)
			d.ScanArgs(t, "frame", &frame)
			d.ScanArgs(t, "seed", &seed)
			d.ScanArgs(t, "estimate", &estimate)
			d.ScanArgs(t, "errors", &errors)
			var q, p float64
			if _, err := fmt.Sscan(estimate+" "+errors, &q, &p); err != nil {
				t.Fatal(err)
			}
			return transcript(t, bits, frame, seed, q, p)
		})
	})
}

func transcript(t *testing.T, bits, frame int, seed uint64, q, p float64) string {
	var out strings.Builder
	var mu sync.Mutex
	note := func(from string) func(byte, []byte) []byte {
		return func(typ byte, msg []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			switch typ {
			case typeReport:
				var r report
				more, err := r.parse(msg, layOut(bits, frame, q), rounds-1)
				fmt.Fprintf(&out, "%s report: final %v, more %v, frames %v, %v\n", from, r.final, more, r.failed(), err)
			case typeAnswer:
				fmt.Fprintf(&out, "%s answer: %d bytes\n", from, len(msg))
			default:
				h := fnv.New64a()
				_, _ = h.Write(msg)
				fmt.Fprintf(&out, "%s %s: %d bytes %x\n", from, typeNames[typ], len(msg), h.Sum64())
			}
			return msg
		}
	}
	a, b := pair(seed, bits, p)
	r := reconcile(t.Context(), Config{Frame: frame}, a, b, [2]float64{q, q}, changes{distill.Alice: note("bob"), distill.Bob: note("alice")})
	for i, err := range r.errs {
		if err != nil {
			fmt.Fprintf(&out, "end %d: %v\n", i, qsc.KindOf(err))
			return out.String()
		}
	}
	fmt.Fprintf(&out, "leak %d and %d, failed %v and %v, %d bits differ\n", r.got[0].Leak, r.got[1].Leak, r.got[0].Failed, r.got[1].Failed,
		differ(a, b, r.got[1].Frame, r.got[1].Failed))
	return out.String()
}
