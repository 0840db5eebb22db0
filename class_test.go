package qsc_test

import (
	"encoding/json"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// The bits are on disks and wires.
func TestClassBitsAreFixed(t *testing.T) {
	if qsc.ITS != 0 || qsc.OSRandom != 1 || qsc.Simulated != 2 || qsc.Computational != 4 {
		t.Fatal("the bits of Class have moved: stored objects would change their class")
	}
}

func TestClassText(t *testing.T) {
	for c, want := range map[qsc.Class]string{
		qsc.ITS:                                "its",
		qsc.OSRandom:                           "computational (os-random)",
		qsc.OSRandom | qsc.Simulated:           "computational (os-random, simulated)",
		qsc.Simulated | qsc.Computational:      "computational (simulated, cipher)",
		1 << 6:                                 "computational (unknown)",
		qsc.ITS.Weakest(qsc.ITS, qsc.OSRandom): "computational (os-random)",
	} {
		if got := c.String(); got != want {
			t.Errorf("%08b: %q, want %q", c, got, want)
		}
		if got := c.Level() == "its"; got != (c == qsc.ITS) {
			t.Errorf("%08b: level %q", c, c.Level())
		}
	}
}

// Whatever way a class takes, it comes back no better than it was.
func TestClassNeverImproves(t *testing.T) {
	for i := range 256 {
		c := qsc.Class(i)
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back qsc.Class
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if known := c & 7; back&known != known || (c != 0) != (back != 0) {
			t.Errorf("%08b went through JSON as %08b", c, back)
		}
		for j := range 256 {
			if w := c.Weakest(qsc.Class(j)); w&c != c || w&qsc.Class(j) != qsc.Class(j) {
				t.Fatalf("the weakest of %08b and %08b is %08b", i, j, w)
			}
		}
	}
	var c qsc.Class
	if err := c.UnmarshalText([]byte("something new")); err != nil || c != qsc.Computational {
		t.Errorf("unknown words are read as %s, %v", c, err)
	}
}
