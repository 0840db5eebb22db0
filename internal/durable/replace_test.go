package durable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func TestReplace(t *testing.T) {
	both(t, func(t *testing.T, fsys FS) {
		for _, text := range []string{"first", "a second and longer one", "", "last"} {
			must(t, Replace(fsys, "a", []byte(text)))
			if b, err := ReadFile(fsys, "a", 100); err != nil || string(b) != text {
				t.Errorf("%q, %v, not %q", b, err, text)
			}
		}
		if _, err := ReadFile(fsys, "a", 3); !qsc.IsKind(err, qsc.Corrupt) {
			t.Error("longer than the limit:", err)
		}
		if _, err := ReadFile(fsys, "b", 100); !qsc.IsKind(err, qsc.NotFound) {
			t.Error("a file that is not there:", err)
		}
	})
}

// Whatever step fails, and however, the file is whole, old or new, and new where
// Replace said so: as the running process sees it, and after a power cut.
func TestReplaceIsWholeOrNot(t *testing.T) {
	before, after := bytes.Repeat([]byte("old"), 700), bytes.Repeat([]byte("new!"), 900)
	for _, mode := range Modes() {
		for step := int64(1); step <= 6; step++ {
			for _, crash := range []bool{false, true} {
				for seed := range uint64(8) {
					disk := Mem(1 << 20)
					must(t, Replace(disk, "a", before))
					faulty := Faulty(disk, Plan{Step: step, Mode: mode, Crash: crash})
					err := Replace(faulty, "a", after)
					if (err == nil) != (step == 6) {
						t.Fatalf("step %d, %v: %v", step, mode, err)
					}
					for what, fsys := range map[string]FS{"now": disk, "after a cut": disk.Crashed(rand.New(rand.NewPCG(seed, 1)))} {
						got, rerr := ReadFile(fsys, "a", 1<<20)
						if rerr != nil || !bytes.Equal(got, after) && (err == nil || !bytes.Equal(got, before)) {
							t.Fatal(fmt.Sprintf("step %d, %v, crash %v, %s:", step, mode, crash, what), rerr, len(got), err)
						}
					}
				}
			}
		}
	}
}
