package cvqkd

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func aBatch(heterodyne bool) *batch {
	b := &batch{index: 3, symbols: 70, tests: []uint64{1 << 63, 0b100010}, values: []int16{-5, 7, math.MinInt16}}
	if heterodyne {
		b.values = append(b.values, 1, 2, 3)
	} else {
		b.bases = []uint64{0xf0f0, 0b11}
	}
	return b
}

func aFrame() *frame {
	f := &frame{index: 9, alphas: make([]int8, 512), lengths: make([]uint16, 64), syndrome: make([]uint64, 5)}
	f.alphas[3], f.lengths[63], f.syndrome[4] = -127, 65535, 1<<43
	f.parity = 0xdeadbeef
	return f
}

var aResult = result{sums: sums{1000, 900, 500.5, 1200}, errors: 77, frames: 66, failed: []int{0, 65}}

// What is written is read back, and a message cut short or too long is Corrupt.
func TestMessages(t *testing.T) {
	for name, c := range map[string]struct {
		msg   []byte
		parse func([]byte) ([]byte, error)
	}{
		"homodyne batch":   {aBatch(false).marshal(), func(b []byte) ([]byte, error) { return rebatch(b, false) }},
		"heterodyne batch": {aBatch(true).marshal(), func(b []byte) ([]byte, error) { return rebatch(b, true) }},
		"choice":           {choice{checks: 300}.marshal(), rechoice},
		"verdict":          {choice{verdict: tooNoisy}.marshal(), rechoice},
		"frame":            {aFrame().marshal(300), reframe},
		"help":             {[]byte{0xff, 1, 2, 7}, rehelp},
		"result":           {aResult.marshal(), reresult},
	} {
		if got, err := c.parse(c.msg); err != nil || !bytes.Equal(got, c.msg) {
			t.Errorf("%s: %x came back as %x: %v", name, c.msg, got, err)
		}
		for _, bad := range [][]byte{nil, c.msg[:len(c.msg)-1], append(slices.Clone(c.msg), 0)} {
			if _, err := c.parse(bad); !qsc.IsKind(err, qsc.Corrupt) {
				t.Errorf("%s of %d bytes instead of %d: %v", name, len(bad), len(c.msg), err)
			}
		}
	}
}

func rebatch(msg []byte, heterodyne bool) ([]byte, error) {
	b, err := parseBatch(msg, 3, 70, heterodyne)
	if err != nil {
		return nil, err
	}
	return b.marshal(), nil
}

func rechoice(msg []byte) ([]byte, error) {
	c, err := parseChoice(msg, 512)
	return c.marshal(), err
}

func reframe(msg []byte) ([]byte, error) {
	f, err := parseFrame(msg, 9, 512, 300)
	if err != nil {
		return nil, err
	}
	return f.marshal(300), nil
}

func rehelp(msg []byte) ([]byte, error) {
	words, err := parseHelp(msg, 27)
	if err != nil {
		return nil, err
	}
	return appendBits(nil, words, 27), nil
}

func reresult(msg []byte) ([]byte, error) {
	r, err := parseResult(msg, 1000, 66, 512)
	if err != nil {
		return nil, err
	}
	return r.marshal(), nil
}

// Independent: the remainder is the CRC-32C register without its reflections and
// masks, as long division by hand gives it; it sees every change of few bits.
func TestRemainder(t *testing.T) {
	words := []uint64{0x0123456789abcdef, 0, 42}
	dividend := new(big.Int)
	for _, w := range words {
		for i := range 64 {
			dividend.Lsh(dividend, 1).Or(dividend, big.NewInt(int64(w>>i&1)))
		}
	}
	divisor := big.NewInt(0x11edc6f41)
	for k := dividend.BitLen() - 33; k >= 0; k-- {
		if dividend.Bit(k+32) == 1 {
			dividend.Xor(dividend, new(big.Int).Lsh(divisor, uint(k)))
		}
	}
	if got := remainder(words); uint64(got) != dividend.Uint64() {
		t.Errorf("remainder %#x, long division %#x", got, dividend)
	}
	if words[1] ^= 1 << 17; uint64(remainder(words)) == dividend.Uint64() {
		t.Error("a changed bit leaves the remainder")
	}
}

// What a sender cannot have seen is refused.
func TestResultRefusesTheImpossible(t *testing.T) {
	for name, change := range map[string]func(*result){
		"NaN":             func(r *result) { r.sums.xy = math.NaN() },
		"infinity":        func(r *result) { r.sums.xx = math.Inf(1) },
		"negative square": func(r *result) { r.sums.yy = -1 },
		"correlation":     func(r *result) { r.sums.xy = 2000 },
		"other tests":     func(r *result) { r.sums.m = 999 },
		"errors":          func(r *result) { r.errors = 66*512 + 1 },
		"frames":          func(r *result) { r.frames, r.failed = 65, nil },
	} {
		r := aResult
		change(&r)
		if _, err := reresult(r.marshal()); !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fuzz checks that whatever is accepted is written back as it came.
func fuzz(f *testing.F, parse func([]byte) ([]byte, error), seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := parse(msg)
		if err == nil && !bytes.Equal(got, msg) {
			t.Errorf("%x came back as %x", msg, got)
		}
		if err != nil && !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%v", err)
		}
	})
}

func FuzzBatchHomodyne(f *testing.F) {
	fuzz(f, func(b []byte) ([]byte, error) { return rebatch(b, false) }, aBatch(false).marshal())
}

func FuzzBatchHeterodyne(f *testing.F) {
	fuzz(f, func(b []byte) ([]byte, error) { return rebatch(b, true) }, aBatch(true).marshal())
}

func FuzzChoice(f *testing.F) {
	fuzz(f, rechoice, choice{checks: 300}.marshal(), choice{verdict: tooScarce}.marshal())
}

func FuzzFrame(f *testing.F) { fuzz(f, reframe, aFrame().marshal(300)) }

func FuzzResult(f *testing.F) { fuzz(f, reresult, aResult.marshal()) }

func FuzzHelp(f *testing.F) { fuzz(f, rehelp, []byte{0xff, 1, 2, 7}) }
