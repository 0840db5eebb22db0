package timetag

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Published: the documentation of fpfind shows a recording's first event as two words
// and says that it begins at 65333.011796794 s, with clicks of detectors 1 and 4 only.
func TestPublishedEvent(t *testing.T) {
	b := binary.LittleEndian.AppendUint32(nil, 0xedae1bd7)
	b = binary.LittleEndian.AppendUint32(b, 0x4ce88f21)
	e, err := NewReader(bytes.NewReader(b), HighFirst).Read()
	if err != nil {
		t.Fatal(err)
	}
	if ns := e.Time * UnitPicoseconds / 1000; ns != 65333_011796793 && ns != 65333_011796794 {
		t.Errorf("%d ns", ns)
	}
	if e.Detectors != 1 {
		t.Errorf("detectors %04b", e.Detectors)
	}
}

// Every bit of an event comes back, in both orders.
func TestRawEvents(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, o := range []Order{HighFirst, LowFirst} {
		in := make([]byte, 8*1000)
		for i := range in {
			in[i] = byte(r.Uint32())
		}
		var out bytes.Buffer
		rd, w := NewReader(bytes.NewReader(in), o), NewWriter(&out, o)
		for {
			e, err := rd.Read()
			if err == io.EOF {
				break
			}
			if err == nil {
				err = w.Write(e)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil || !bytes.Equal(in, out.Bytes()) {
			t.Fatalf("order %v: the bytes do not come back, %v", o, err)
		}
		if _, err := NewReader(bytes.NewReader(in[:7]), o).Read(); !qsc.IsKind(err, qsc.Corrupt) {
			t.Error("half an event:", err)
		}
	}
	for _, e := range []Event{{Time: 1 << 49}, {Detectors: 16}, {Rest: 1 << 11}} {
		if err := NewWriter(io.Discard, HighFirst).Write(e); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// The middle of the numbers' range is the date that the format's description says; the
// end, by arithmetic, a day after what it says.
func TestEpochs(t *testing.T) {
	for text, e := range map[string]Epoch{"1970-01-01T00:00:00Z": 0, "2006-07-14T23:58:25Z": 0x80000000} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := EpochAt(at); got != e && got+1 != e { // to the second
			t.Errorf("%s is in epoch %v, not %v", text, got, e)
		}
	}
	now := time.Date(2026, 11, 22, 1, 2, 3, 4, time.UTC)
	if d := now.Sub(EpochAt(now).start().time(now)); d < 0 || d >= EpochTime {
		t.Errorf("the epoch began %v before", d)
	}
	late := time.Date(2043, 1, 26, 12, 0, 0, 0, time.UTC) // the numbers have come round
	if e := EpochAt(late); e > 1<<17 || late.Sub(e.start().time(late)) >= EpochTime {
		t.Errorf("epoch %v in 2043", e)
	}
	for name, ok := range map[string]bool{"00000000": true, "ba1f36c0": true, "BA1F36C0": false, "ba1f36c": false, "ba1f36c00": false, "+a1f36c0": false, "ba1f36c0.new": false} {
		if e, err := ParseEpoch(name); (err == nil) != ok || ok && e.String() != name {
			t.Errorf("%q: %v, %v", name, e, err)
		}
	}
}

// Published: the description's table of corrections, in the middle of its quarters.
func TestExtend(t *testing.T) {
	corrections := []int64{0, 0, 0, 1, 0, 0, 0, 0, -1, 0, 0, 0, -1, -1, 0, 0}
	for i, c := range corrections {
		quarter := func(n int) int64 { return int64(n)<<15 + 1<<14 }
		base := int64(50) << 17
		aep, tep := base+quarter(i&3), quarter(i>>2)
		now := time.Unix(0, aep*int64(EpochTime)+int64(EpochTime)/2)
		want := Epoch(base + tep + c<<17)
		if got := Extend(Event{Time: uint64(tep) << epochBits}, now); got != want {
			t.Errorf("overlay %d: %d, not %d", i, int64(got)-base, int64(want)-base)
		}
	}
}

// bitsOf is a packet's body as text, by the description: words of 32 bits, little
// end first, the highest bit of a word first.
func bitsOf(words []byte) string {
	var s strings.Builder
	for i := 0; i+4 <= len(words); i += 4 {
		fmt.Fprintf(&s, "%08b%08b%08b%08b", words[i+3], words[i+2], words[i+1], words[i])
	}
	return s.String()
}

func number(t *testing.T, s *string, n int) uint64 {
	t.Helper()
	v, err := strconv.ParseUint((*s)[:n], 2, 64)
	if err != nil {
		t.Fatal(err)
	}
	*s = (*s)[n:]
	return v
}

// Independent: a packet of type 2 taken apart bit by bit.
func TestTimesBitByBit(t *testing.T) {
	in := Times{Head: Head{0x12345678, true}, Order: 10, Width: 1, Protocol: 1,
		At: []uint32{5, 1028, 1029, 5000, 5001, 5002, 900_000, 1<<32 - 2}, Told: []uint8{1, 0, 1, 1, 0, 0, 1, 1}}
	want := []uint32{5, 1028, 1030, 5000, 5002, 5004, 900_000, 1<<32 - 2} // at least two apart
	b, sent := in.Append([]byte("before"))
	if b = b[6:]; sent != len(in.At) {
		t.Fatalf("%d events sent", sent)
	}
	for i, w := range []uint32{0x102, 0x12345678, 8, 10, 1, 1} {
		if got := binary.LittleEndian.Uint32(b[4*i:]); got != w {
			t.Errorf("word %d of the header is %#x, not %#x", i, got, w)
		}
	}
	s, last := bitsOf(b[24:]), uint64(0)
	for i := range want {
		d := number(t, &s, 10)
		if long := uint64(want[i])-last >= 1024; long != (d == 0) {
			t.Fatalf("event %d: %d in a short entry", i, d)
		}
		if d == 0 {
			d = number(t, &s, 32)
		}
		last += d
		if told := number(t, &s, 1); last != uint64(want[i]) || told != uint64(in.Told[i]) {
			t.Fatalf("event %d at %d, %d", i, last, told)
		}
	}
	if end := number(t, &s, 11); end != 2 || strings.Trim(s, "0") != "" || len(s) >= 32 {
		t.Errorf("the end is %d, behind it %q", end, s)
	}
	out, err := ParseTimes(b)
	in.At = want
	if err != nil || !reflect.DeepEqual(*out, in) {
		t.Errorf("%+v, %v", out, err)
	}
}

// An event that cannot be told at the epoch's very end is not told, nor any after it.
func TestTimesAtTheEnd(t *testing.T) {
	in := Times{Width: 1, At: []uint32{1<<32 - 3, 1<<32 - 2, 1<<32 - 1}, Told: []uint8{1, 1, 1}}
	b, sent := in.Append(nil)
	out, err := ParseTimes(b)
	if err != nil || sent != 2 || len(out.At) != 2 || out.At[1] != 1<<32-1 {
		t.Errorf("%d sent, %v, %v", sent, out, err)
	}
}

// The best width costs at most a fifth more than what random times are worth.
func TestTimesAreCompact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1000, 30_000, 500_000} {
		in := Times{Width: 1}
		mean := float64(1<<32) / float64(n)
		for at := r.ExpFloat64() * mean; at < 1<<32; at += r.ExpFloat64() * mean {
			in.At, in.Told = append(in.At, uint32(at)), append(in.Told, uint8(r.Uint32()&1))
		}
		b, sent := in.Append(nil)
		entropy := 1 + math.Log2(mean) + 1.4427 // of an exponential distance, and the bit told
		if got := float64(8*len(b)) / float64(sent); got > 1.2*entropy {
			t.Errorf("%d events: %.2f bits each, their entropy is %.2f", n, got, entropy)
		}
		if len(b) > 4<<20-64 {
			t.Errorf("%d events do not fit a message", n)
		}
	}
}

// Independent: a packet of type 3 bit by bit.
func TestValues(t *testing.T) {
	for width := 1; width <= 4; width++ {
		in := Values{Head: Head{7, false}, Width: width}
		for i := range 37 {
			in.Kept = append(in.Kept, uint8(i*5)&(1<<width-1))
		}
		b := in.Append(nil)
		s := bitsOf(b[16:])
		for i, v := range in.Kept {
			if got := number(t, &s, width); got != uint64(v) {
				t.Fatalf("width %d: value %d is %d", width, i, got)
			}
		}
		out, err := ParseValues(b)
		if err != nil || !reflect.DeepEqual(*out, in) || binary.LittleEndian.Uint32(b) != 3 {
			t.Errorf("%+v, %v", out, err)
		}
	}
}

func raw(events ...Event) *Raw {
	r := &Raw{Head: Head{Epoch: 0x80000001, Universal: true}}
	for _, e := range events {
		e.Time |= 1 << epochBits // the epoch's lower 17 bits
		r.Events = append(r.Events, e)
	}
	return r
}

func TestRawPackets(t *testing.T) {
	in := raw(Event{Time: 3, Detectors: 1}, Event{Time: 9, Detectors: 8, Rest: 5})
	b := in.Append(nil)
	if out, err := ParseRaw(b); err != nil || !reflect.DeepEqual(out, in) {
		t.Fatalf("%+v, %v", out, err)
	}
	for n := range b {
		if _, err := ParseRaw(b[:n]); !qsc.IsKind(err, qsc.Corrupt) {
			t.Fatalf("%d bytes of it pass: %v", n, err)
		}
		if _, whole, err := parseRaw(b[:n]); whole || err != nil {
			t.Fatalf("%d bytes of it are no beginning: %v", n, err)
		}
	}
	for name, spoil := range map[string]func(b []byte){
		"another tag":    func(b []byte) { b[0] = 2 },
		"too few events": func(b []byte) { b[8] = 3 },
		"too many":       func(b []byte) { b[8] = 1 },
		"a huge number":  func(b []byte) { b[11] = 0x7f },
		"other bits":     func(b []byte) { b[12] = 50 },
		"another epoch":  func(b []byte) { b[20+3] ^= 0x80 },
	} {
		bad := bytes.Clone(b)
		spoil(bad)
		if _, err := ParseRaw(bad); !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	open := bytes.Clone(b)
	open[8] = 0 // the number is not told: the end is where the zeros are
	if out, err := ParseRaw(open); err != nil || len(out.Events) != 2 {
		t.Error(err)
	}
}

// Published: the tables of the format's BB84 protocol for single clicks, and what a
// double click may become.
func TestSplit(t *testing.T) {
	in := raw(Event{Time: 10, Detectors: 1}, Event{Time: 20, Detectors: 2}, Event{Time: 30, Detectors: 4}, Event{Time: 40, Detectors: 8},
		Event{Time: 50}, Event{Time: 35, Detectors: 1})
	times, values, err := Split(in, DefaultWiring, bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(times.At, []uint32{10, 20, 30, 40}) || !reflect.DeepEqual(times.Told, []uint8{0, 1, 0, 1}) || !reflect.DeepEqual(values.Kept, []uint8{0, 0, 1, 1}) {
		t.Errorf("%+v, %+v", times, values)
	}
	if _, _, err := Split(raw(Event{Time: 1, Detectors: 3}), DefaultWiring, bytes.NewReader(nil)); err == nil {
		t.Error("a double click without random bits")
	}
	random := rand.NewChaCha8([32]byte{1})
	count := map[[3]int]int{}
	for detectors := range uint8(16) {
		for range 1000 {
			times, values, err := Split(raw(Event{Time: 1, Detectors: detectors}), DefaultWiring, random)
			if err != nil {
				t.Fatal(err)
			}
			if detectors > 0 {
				count[[3]int{int(detectors), int(times.Told[0]), int(values.Kept[0])}]++
			}
		}
	}
	for pattern, share := range map[[3]int]float64{
		{5, 0, 0}: 0.5, {5, 0, 1}: 0.5, {10, 1, 1}: 0.5, {3, 0, 0}: 0.5, {3, 1, 0}: 0.5, {7, 1, 0}: 0.5, {7, 0, 1}: 0.25, {15, 1, 1}: 0.25, {12, 0, 0}: 0,
	} {
		if n := float64(count[pattern]); n < 1000*share-80 || n > 1000*share+80 {
			t.Errorf("%v comes %g times in 1,000, not %g", pattern, n, 1000*share)
		}
	}
	for _, w := range []Wiring{"", "V-H", "V-HH", "V-H+V", "VHDA"} {
		if _, _, err := Split(in, w, random); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("wiring %q: %v", w, err)
		}
	}
}
