package supply

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"pgregory.net/rapid"
)

func TestIdentifiers(t *testing.T) {
	key := make([]byte, 32)
	p := newPermutation(key)
	rapid.Check(t, func(t *rapid.T) {
		x := place{n: rapid.Uint32().Draw(t, "n"), at: rapid.Uint32Range(0, 1<<posBits-1).Draw(t, "at"),
			size: rapid.Uint32Range(1, maxKey).Draw(t, "size"), tag: rapid.Uint64Range(0, tagMask).Draw(t, "tag")}
		id := p.encode(x)
		if id[6]>>4 != 4 || id[8]>>6 != 2 {
			t.Fatalf("%v is no UUID of version 4", id)
		}
		if y, ok := p.decode(id); !ok || y != x {
			t.Fatalf("%+v became %+v", x, y)
		}
	})
}

// TestIdentifiersSayNothing: those of neighbours differ in half of their bits.
func TestIdentifiersSayNothing(t *testing.T) {
	p := newPermutation(bytes.Repeat([]byte{3}, 32))
	differ, last := 0, p.encode(place{size: 32})
	const many = 2000
	for i := range uint32(many) {
		id := p.encode(place{at: i + 1, size: 32})
		for j := range id {
			for b := id[j] ^ last[j]; b != 0; b &= b - 1 {
				differ++
			}
		}
		last = id
	}
	if mean := float64(differ) / many; mean < 59 || mean > 63 {
		t.Fatalf("identifiers of neighbours differ in %.1f of 122 bits", mean)
	}
}

func FuzzID(f *testing.F) {
	p := newPermutation(make([]byte, 32))
	id := p.encode(place{n: 1, at: 2, size: 32, tag: 4})
	f.Add(id[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 16 {
			return
		}
		id := qsc.KeyID(b[:16])
		if x, ok := p.decode(id); ok && p.encode(x) != id {
			t.Fatal("an identifier does not survive")
		}
	})
}

func TestSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s spans
		var plain [64]bool
		for range rapid.IntRange(0, 20).Draw(t, "times") {
			a := rapid.Uint64Range(0, 63).Draw(t, "a")
			b := rapid.Uint64Range(a, 64).Draw(t, "b")
			s.add(a, b)
			for i := a; i < b; i++ {
				plain[i] = true
			}
		}
		for i := range plain {
			if s.has(uint64(i)) != plain[i] || s.meets(uint64(i), uint64(i)+1) != plain[i] {
				t.Fatalf("%d: %v", i, s)
			}
		}
		free := 0
		for _, g := range s.gaps(0, 64) {
			free += int(g.to - g.from)
		}
		for _, p := range plain {
			if p {
				free++
			}
		}
		if free != 64 {
			t.Fatalf("gaps and members are %d of 64", free)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add(record{kind: recTaken, stream: 1, n: 2, a: 3, b: 4, how: 1}.append(nil))
	f.Add(record{kind: recSegment, stream: 1, n: 2, info: &segmentInfo{size: 8}}.append(nil))
	f.Add(record{kind: recStream, stream: 1, desc: &streamDesc{peer: "b"}}.append(nil))
	f.Add(record{kind: recBits, stream: 1, c: 1, d: 2, body: make([]byte, 8)}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, rest, err := parseRecord(b)
		if err != nil {
			return
		}
		again := r.append(nil)
		r2, _, err := parseRecord(again)
		if err != nil || !bytes.Equal(r2.append(nil), again) || len(rest) > len(b) {
			t.Fatalf("a record does not survive: %v", err)
		}
	})
}

// FuzzJournal: whatever lies in the files, opening them ends, and ends well or
// with a clear error.
func FuzzJournal(f *testing.F) {
	m := newModel(&testing.T{}, 9)
	m.calm = true
	m.warm()
	m.fetch()
	payload := m.node[1].s.snapshot(func() {})
	f.Add(payload)
	f.Add(m.node[0].s.snapshot(func() {}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Supply{cfg: Config{Node: "b", Directory: &directory{}}, streams: map[streamKey]*stream{}, byNum: map[uint32]*stream{}, pools: map[poolKey]*stream{},
			slaves: map[qsc.NodeID][]*stream{}, pairs: map[pairName]*pairUse{}, gifts: map[qsc.KeyID]*gift{}, told: map[giftKey]*gift{}}
		s.cfg.defaults()
		for len(b) > 0 {
			r, rest, err := parseRecord(b)
			if err != nil {
				return
			}
			if s.apply(r) != nil {
				return
			}
			b = rest
		}
		s.j = newJournal(nil, 0, s.snapshot)
		_ = s.snapshot(func() {})
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(frame(1, 0, []byte("some records")))
	f.Add(append(frame(1, 0, []byte("some records")), frame(1, 1, []byte("more"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = replay(1, b, func(p []byte) error {
			if len(p) > len(b) {
				t.Fatal("a payload longer than the file")
			}
			return nil
		})
	})
}

// FuzzTold: no message makes a node fall over, and none changes what it holds of
// streams that it does not speak of.
func FuzzTold(f *testing.F) {
	m := newModel(&testing.T{}, 10)
	m.calm = true
	m.warm()
	m.speak(0)
	m.speak(1)
	for _, x := range m.net.mail {
		f.Add(uint8(x.topic), x.body[1:])
	}
	f.Add(uint8(keymgmt.TopicGift), []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, topic uint8, b []byte) {
		s := m.node[1].s
		s.take(told{"c", keymgmt.Topic(topic), b})
		if r := rand.IntN(50); r == 0 {
			balanced(t, s)
		}
		m.net.mail = nil
	})
}

func FuzzLabel(f *testing.F) {
	f.Add(label(&stream{}, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, isHead, id, n, err := parseLabel(b)
		if err != nil {
			return
		}
		if again := label(&stream{streamDesc: streamDesc{purpose: p, id: id}}, n); !bytes.Equal(again, b) && isHead == (n == 0 && p == forPool) {
			t.Fatal("a label does not survive")
		}
	})
}

func FuzzSync(f *testing.F) {
	f.Add(make([]byte, 60))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := parseState(wire.NewReader(b)); err == nil && (len(x.reports) > maxSyncReports || len(x.numbers) > maxSyncOrders) {
			t.Fatal("over its bounds")
		}
		if x, err := parseAnswer(wire.NewReader(b)); err == nil && len(x.held) > maxSyncHeld {
			t.Fatal("over its bounds")
		}
		_, _, _ = parseGift(b)
		_, _ = parseAnnouncement(b)
	})
}
