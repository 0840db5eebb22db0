package distill

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// again checks that what was parsed survives its own encoding.
func again[T interface{ encode() []byte }](t *testing.T, b []byte, m T, err error) {
	t.Helper()
	if err != nil {
		if !qsc.IsKind(err, qsc.Corrupt) {
			t.Fatalf("a bad message is %v", err)
		}
		return
	}
	if !bytes.Equal(m.encode(), b) {
		t.Fatal("a message does not survive its own encoding")
	}
}

// samples are one message of each sort.
func samples() map[byte][]byte {
	at := time.Unix(1, 5)
	return map[byte][]byte{
		typeHello:  hello{"ab", 3, 4096, Bob, 9}.encode(),
		typeBegin:  begin{seq: 7, carry: offer{4, 5}, until: at, offers: []offer{{9, 2}, {0, Founding}}}.encode(),
		typeGo:     start{at: at, seq: 5, carry: true}.encode(),
		typeHashes: hashes{bits: 100, frame: 50, sums: []uint64{1, 2}}.encode(),
		typeBad:    bad{frames: []int{0, 2}, errors: 4}.encode(),
		typeLength: length{bits: 640, refill: 1, made: at, names: make([]qsc.KeyID, 2)}.encode(),
		typeTag:    tag{round: 4, index: 1}.encode(),
		typeAbort:  {byte(qsc.Scarce)},
		typeSpare:  spareOf([]uint64{7, 9, 40}, 3).encode(),
	}
}

func FuzzMessage(f *testing.F) {
	for typ, b := range samples() {
		f.Add(typ, b)
	}
	f.Fuzz(func(t *testing.T, typ byte, b []byte) {
		switch typ {
		case typeHello:
			m, err := parseHello(b)
			again(t, b, m, err)
		case typeBegin, typeReady:
			m, err := parseBegin(b)
			again(t, b, m, err)
		case typeGo:
			m, err := parseStart(b)
			again(t, b, m, err)
		case typeHashes:
			m, err := parseHashes(b)
			again(t, b, m, err)
		case typeBad:
			m, err := parseBad(b, 1000)
			again(t, b, m, err)
			if err == nil && !ordered(m.frames, 1000) {
				t.Fatal("frames out of order")
			}
		case typeLength:
			m, err := parseLength(b)
			again(t, b, m, err)
		case typeTag:
			m, err := parseTag(b)
			again(t, b, m, err)
		case typeAbort:
			_ = parseAbort(b)
		case typeSpare, typeLost:
			m, err := parseSpare(b)
			again(t, b, m, err)
		}
	})
}

// Every sample is a good message; cut short it is none.
func TestMessages(t *testing.T) {
	for typ, b := range samples() {
		for n := range len(b) + 1 {
			var err error
			switch typ {
			case typeHello:
				_, err = parseHello(b[:n])
			case typeBegin:
				_, err = parseBegin(b[:n])
			case typeGo:
				_, err = parseStart(b[:n])
			case typeHashes:
				_, err = parseHashes(b[:n])
			case typeBad:
				_, err = parseBad(b[:n], 5)
			case typeLength:
				_, err = parseLength(b[:n])
			case typeTag:
				_, err = parseTag(b[:n])
			case typeSpare:
				_, err = parseSpare(b[:n])
			case typeAbort:
				if parseAbort(b[:n]) == qsc.Other {
					err = errors.New("no kind")
				}
			}
			if (err == nil) != (n == len(b)) {
				t.Errorf("type %#x cut at %d of %d bytes: %v", typ, n, len(b), err)
			}
		}
	}
}

func FuzzFrame(f *testing.F) {
	h := header{3, typeTag, 9}.encode()
	f.Add(append(h[:], "abc"...))
	f.Add(bytes.Repeat([]byte{0xff}, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, body, err := readFrame(bytes.NewReader(b), func(n int) []byte { return make([]byte, n) })
		if err != nil {
			return
		}
		e := h.encode()
		if got := append(e[:], body...); !bytes.Equal(got, b[:len(got)]) {
			t.Fatal("a frame does not survive its own encoding")
		}
	})
}

func sampleState() *state {
	s := &state{epoch: 3, next: 17, round: 5, until: time.Unix(7, 8).UTC(), keys: [2]qsc.Secret{qsc.NewSecret(make([]byte, 16)), qsc.NewSecret(make([]byte, 16))}}
	s.masks = masks{newBatch(4, bytes.Repeat([]byte{5}, 3*pairSize)), newBatch(0, bytes.Repeat([]byte{6}, 2*pairSize))}
	s.masks[0].use(Alice, 2)
	s.masks[0].use(Bob, 3)
	return s
}

func FuzzState(f *testing.F) {
	f.Add(sampleState().encode())
	f.Add([]byte("QSDS"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeState(b)
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(s.encode(), b) {
			t.Fatal("a state does not survive its own encoding")
		}
	})
}

func FuzzRecords(f *testing.F) {
	fs := durable.Mem(1 << 20)
	for range 2 {
		if err := appendRecord(fs, quantum.Record{Link: "ab", Bound: "b", Round: 4, Params: map[string]any{"x": 1.5}}); err != nil {
			f.Fatal(err)
		}
	}
	b, err := durable.ReadFile(fs, recordFile, recordLimit)
	if err != nil || len(parseRecords(b)) != 2 || len(parseRecords(b[:len(b)-3])) != 1 {
		f.Fatal("records cannot be read back", err)
	}
	f.Add(b)
	f.Add([]byte("{}\n\n{\"bound\":\"x\"}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(parseRecords(b)); n > len(b) {
			t.Fatal("more records than bytes")
		}
	})
}

// Records go on in a new file when one is full, and the last are found again.
func TestRecordsRotate(t *testing.T) {
	fs := durable.Mem(1 << 26)
	pad := string(bytes.Repeat([]byte{'x'}, 300<<10))
	const n = 40
	for i := range uint64(n) {
		if err := appendRecord(fs, quantum.Record{Bound: "b", Round: i, Params: map[string]any{"pad": pad}}); err != nil {
			t.Fatal(err)
		}
	}
	var a account
	if err := a.load(fs); err != nil {
		t.Fatal(err)
	}
	if got := len(a.records); got < recordLimit/len(pad) || got >= n {
		t.Fatalf("%d of %d records", got, n)
	}
	for i, r := range a.records {
		if r.Round != uint64(n-len(a.records)+i) {
			t.Fatalf("record %d is of round %d", i, r.Round)
		}
	}
}

func TestFound(t *testing.T) {
	dirs := [2]durable.FS{durable.Mem(1 << 20), durable.Mem(1 << 20)}
	if Founded(dirs[0]) {
		t.Error("an empty directory is founded")
	}
	if err := Found(dirs, rand.Reader); err != nil || !Founded(dirs[0]) || !Founded(dirs[1]) {
		t.Fatal(err)
	}
	a, err := loadState(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	b, err := loadState(dirs[1])
	if err != nil || !bytes.Equal(a.encode(), b.encode()) || a.masks.left() != Founding || a.keys[0].Equal(a.keys[1]) {
		t.Fatal("the ends are not founded alike", err)
	}
	b.next, b.round, b.epoch = 77, 9, 3
	if err := writeState(dirs[1], b); err != nil {
		t.Fatal(err)
	}
	if err := Found(dirs, rand.Reader); err != nil {
		t.Fatal(err)
	}
	c, err := loadState(dirs[0])
	if err != nil || c.next != 77 || c.round != 9 || c.epoch != 3 || c.keys[0].Equal(a.keys[0]) {
		t.Error("founded anew, the numbers do not go on or the key is the old one", err)
	}
	if err := Found(dirs, bytes.NewReader(make([]byte, 100))); !qsc.IsKind(err, qsc.Invalid) {
		t.Error("too little randomness:", err)
	}
}

// A mask is handed out once, newest batches first, and what was seen is not taken
// again.
func TestMasks(t *testing.T) {
	m := sampleState().masks
	if m.left() != 2 {
		t.Fatalf("%d rounds are left", m.left())
	}
	var got []offer
	for {
		x, _, err := m.take(Alice)
		if err != nil {
			if !qsc.IsKind(err, qsc.Exhausted) {
				t.Fatal(err)
			}
			break
		}
		got = append(got, offer{x.round, x.index})
	}
	if !slices.Equal(got, []offer{{4, 2}, {0, 0}, {0, 1}}) {
		t.Errorf("masks %v", got)
	}
	for _, b := range m {
		for i := range b.count {
			if *b.mask(Alice, i) != [uhash.Size]byte{} {
				t.Errorf("mask %d of round %d has served and still lies there", i, b.round)
			}
		}
	}
	for _, c := range []struct {
		t    tag
		kind qsc.Kind
	}{{tag{round: 4, index: 2}, qsc.Replayed}, {tag{round: 4, index: 3}, qsc.Tampered}, {tag{round: 9}, qsc.Tampered}} {
		if _, err := m.view(Bob, c.t); !qsc.IsKind(err, c.kind) {
			t.Errorf("%+v: %v", c.t, err)
		}
	}
	if m = m.clean([]offer{{0, 2}}, 9); len(m) != 1 || m[0].round != 0 {
		t.Errorf("%d batches are left", len(m))
	}
}

// bitsOf is b as a number, for comparison.
func bitsOf(b Bits) *big.Int {
	x := new(big.Int)
	for i := range b.N {
		x.SetBit(x, i, uint(b.Bit(i)))
	}
	return x
}

// Frames that are dropped leave the others in order, bit by bit.
func TestCompact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := NewBits(rapid.IntRange(1, 700).Draw(t, "n"))
		for i := range b.W {
			b.W[i] = rapid.Uint64().Draw(t, "w")
		}
		b = b.cut(b.N)
		frame := rapid.IntRange(1, 300).Draw(t, "frame")
		drop := rapid.SliceOfDistinct(rapid.IntRange(0, frames(b.N, frame)-1), rapid.ID[int]).Draw(t, "drop")
		slices.Sort(drop)
		want := NewBits(0)
		for i := range b.N {
			if _, gone := slices.BinarySearch(drop, i/frame); !gone {
				if want.N%64 == 0 {
					want.W = append(want.W, 0)
				}
				want.N++
				want.Set(want.N-1, b.Bit(i))
			}
		}
		got := compact(Bits{slices.Clone(b.W), b.N}, frame, drop)
		if got.N != want.N || len(got.W) != len(want.W) || bitsOf(got).Cmp(bitsOf(want)) != 0 {
			t.Fatalf("%d bits in frames of %d without %v: wrong", b.N, frame, drop)
		}
	})
}

// Hashes of frames are equal for equal frames only, wherever the frames begin.
func TestSums(t *testing.T) {
	key := [16]byte([]byte("a key by no rule"))
	rapid.Check(t, func(t *rapid.T) {
		b := NewBits(rapid.IntRange(1, 40000).Draw(t, "n"))
		for i := range b.W {
			b.W[i] = uint64(i) * 0x9e3779b97f4a7c15
		}
		b = b.cut(b.N)
		frame := rapid.IntRange(100, 40000).Draw(t, "frame")
		at := rapid.IntRange(0, b.N-1).Draw(t, "flip")
		c := Bits{slices.Clone(b.W), b.N}
		c.W[at>>6] ^= 1 << (at & 63)
		x, y := sums(b, frame, nil, key), sums(c, frame, nil, key)
		for i := range x {
			if (x[i] != y[i]) != (at/frame == i) {
				t.Fatalf("bit %d of frames of %d: frame %d", at, frame, i)
			}
		}
		if n := differ(b, c, 0, b.N); n != 1 {
			t.Fatalf("%d bits differ", n)
		}
	})
}

func unreachable(context.Context) (net.Conn, error) { return nil, net.ErrClosed }

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(Config{Role: 7, Block: 100}); !qsc.IsKind(err, qsc.Invalid) || len(err.(interface{ Unwrap() []error }).Unwrap()) < 4 {
		t.Errorf("an impossible configuration: %v", err)
	}
	s, err := NewStream(StreamConfig{Block: 100})
	if err != nil {
		t.Fatal(err)
	}
	fs := durable.Mem(1 << 20)
	cfg := Config{Role: Bob, Block: 512, FS: fs, Protocol: s, Dial: nil}
	if _, err := Open(cfg); !qsc.IsKind(err, qsc.Invalid) {
		t.Error("without an address:", err)
	}
	cfg.Dial = unreachable
	if _, err := Open(cfg); !qsc.IsKind(err, qsc.NotFound) {
		t.Error("not founded:", err)
	}
	old := sampleState()
	if err := writeState(fs, old); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); !qsc.IsKind(err, qsc.Conflict) {
		t.Error("of a later epoch:", err)
	}
	for _, c := range []StreamConfig{{}, {Block: 10, QBER: 0.5}, {Block: 1 << 28}, {Block: 1, Rate: -1}} {
		if _, err := NewStream(c); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
