package bb84

import (
	"bytes"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// talk is a message of clicks as Bob sends it and Alice's answer.
func talk(t testing.TB, pulses uint64) (c *clicks, told, answered []byte) {
	d := quick().full()
	e := &end{device: d, loss: 10}
	r := newReceiver(world(1), d, 1000, e.conditions)
	c = new(clicks)
	c.reset(1000)
	r.run(1000+pulses, c)
	told = c.append(nil)
	h, err := parseClicks(told)
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{src: r.src}
	if err := s.take(&h); err != nil {
		t.Fatal(err)
	}
	return c, told, s.kept.append(nil, stateMore)
}

// What Alice reads is what Bob wrote, and every message has one form only.
func FuzzClicks(f *testing.F) {
	for _, n := range []uint64{0, 100, 20_000} {
		_, told, _ := talk(f, n)
		f.Add(told)
	}
	f.Add((&clicks{from: 7, to: 7, none: true}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseClicks(b)
		c := clicks{from: h.from, to: h.to, last: h.flags&flagLast != 0, none: h.flags&flagNone != 0}
		var pulses [64]uint64
		for left := h.n; err == nil && left > 0; left -= 64 {
			n := min(left, 64)
			if err = h.next(&pulses, n); err == nil {
				c.pulse = append(c.pulse, pulses[:n]...)
				c.basis.put(h.basis.take(n), uint(n))
			}
		}
		if err == nil {
			err = h.end()
		}
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(c.append(nil), b) {
			t.Fatal("the message can be written otherwise")
		}
		if err := (&sender{src: newSource(world(1), quick().full())}).take(mustParse(b)); err != nil {
			t.Fatal(err)
		}
	})
}

func mustParse(b []byte) *heard {
	h, err := parseClicks(b)
	if err != nil {
		panic(err)
	}
	return &h
}

func FuzzKept(f *testing.F) {
	c, _, answered := talk(f, 20_000)
	f.Add(answered)
	f.Add(answered[:len(answered)/2])
	f.Add([]byte{0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var l listener
		a, err := parseKept(b, len(c.pulse))
		if err == nil {
			err = l.take(c, &a, 2)
		}
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		var n int64
		for k := range 3 {
			n += l.counts[0][k] + l.counts[1][k]
			if l.wrong[k] > l.counts[0][k] {
				t.Fatal("more errors than bits")
			}
		}
		if n > int64(len(c.pulse)) || int64(l.key.len()) != l.counts[1][0]+l.counts[1][1]+l.counts[1][2] {
			t.Fatalf("%d bits of %d clicks, %d of them key", n, len(c.pulse), l.key.len())
		}
	})
}

func FuzzTally(f *testing.F) {
	f.Add(tally{wrong: [3]uint64{1, 2, 3}, blinded: true}.append(nil))
	f.Add(tally{}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parseTally(b); err == nil && !bytes.Equal(v.append(nil), b) {
			t.Fatal("the message can be written otherwise")
		}
	})
}

func FuzzVerdict(f *testing.F) {
	f.Add(verdict{rulingNoisy, 0.25}.append(nil))
	f.Add(verdict{rulingGo, 0.5}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parseVerdict(b); err == nil && !bytes.Equal(v.append(nil), b) {
			t.Fatal("the message can be written otherwise")
		}
	})
}

// Squeezing and packing against a bit-by-bit twin.
func FuzzSqueeze(f *testing.F) {
	f.Add(uint64(0xdeadbeefcafef00d), uint64(0xf0f0a5a5ffff0001))
	f.Add(^uint64(0), ^uint64(0))
	f.Add(^uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, v, mask uint64) {
		s := newSqueeze(mask)
		var want uint64
		n := uint(0)
		for i := range 64 {
			if mask>>i&1 == 1 {
				want |= v >> i & 1 << n
				n++
			}
		}
		if s.of(v) != want {
			t.Fatalf("%x by %x is %x, not %x", v, mask, s.of(v), want)
		}
		var p packer
		p.put(v>>61, 3)
		p.put(want, n)
		p.put(v, 64)
		b := p.append(nil)
		q, rest, err := cut(b, p.len())
		if err != nil || len(rest) != 0 || q.take(3) != v>>61 || q.take(int(n)) != want || q.take(64) != v || q.take(64) != 0 {
			t.Fatalf("packing: %v", err)
		}
	})
}

// Sifting by words against sifting click by click.
func TestSiftingClickByClick(t *testing.T) {
	d := quick().full()
	c, told, _ := talk(t, 200_000)
	src := newSource(world(1), d)
	s, l := &sender{src: src}, &listener{}
	if _, err := exchange(s, l, c, nil, d.Decoys); err != nil {
		t.Fatal(err)
	}
	var counts [2][3]int64
	var wrong [3]int64
	var alice, bob packer
	for i, p := range c.pulse {
		w := src.word(p)
		basis, bit := c.basis.at(i>>6)>>(i&63)&1, c.value.at(i>>6)>>(i&63)&1
		if basis != src.isKey(w) {
			continue
		}
		counts[basis][src.intensity(w)]++
		if basis == 1 {
			alice.put(bitOf(w), 1)
			bob.put(bit, 1)
		} else {
			wrong[src.intensity(w)] += int64(bit ^ bitOf(w))
		}
	}
	if s.counts != counts || l.counts != counts || l.wrong != wrong {
		t.Errorf("counts %v, %v, errors %v; one by one %v, %v", s.counts, l.counts, l.wrong, counts, wrong)
	}
	if !bytes.Equal(s.key.append(nil), alice.append(nil)) || !bytes.Equal(l.key.append(nil), bob.append(nil)) {
		t.Error("the sifted bits are others")
	}
	if len(c.pulse) < 500 || len(told) > 4*len(c.pulse) {
		t.Errorf("%d clicks told in %d bytes", len(c.pulse), len(told))
	}
	if _, err := exchange(&sender{src: newSource(quantum.World{}, d)}, &listener{}, c, nil, d.Decoys); err != nil {
		t.Errorf("another world is no error of sifting: %v", err)
	}
}
