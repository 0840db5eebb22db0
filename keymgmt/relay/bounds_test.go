package relay

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// A neighbour that orders without end costs bounded memory, its own legs, and
// nobody else's.
func TestFloodIsBounded(t *testing.T) {
	w := newWorld(t)
	w.fresh = randomKey(1)
	d := w.node("d")
	order := func(from qsc.NodeID, i uint64, n int) effects {
		m := &message{Type: typeOrder, At: 2, Route: keymgmt.Path{"m", from, "d"}, Ref: i, Offer: offer{N: uint32(n), Need: 1, Paths: 1}}
		binary.BigEndian.PutUint64(m.ID[:], i)
		m.In = []stretch{{Len: uint32(m.Offer.size())}}
		return w.step(d, evMessage{from, m})
	}
	order("honest", 1<<40, 1000)
	for i := range uint64(3000) {
		order("flood", i+1, []int{16, 1 << 20}[i%2])
		c := d.core
		if l := c.byNode["flood"]; l.legs > c.bounds.neighbourLegs || l.bytes > c.bounds.neighbourBytes || len(c.rounds) > c.bounds.rounds {
			t.Fatalf("%d legs, %d bytes, %d rounds", l.legs, l.bytes, len(c.rounds))
		}
	}
	if d.core.legs[legKey{"honest", 1 << 40}] == nil {
		t.Error("the flood washed an honest leg away")
	}
	// What never ends grows old.
	for range d.core.bounds.ticks {
		w.step(d, evTick{})
	}
	if len(d.core.legs)+len(d.core.rounds)+d.core.total.bytes > 0 {
		t.Error("legs do not grow old")
	}
}

// sealed makes a round's key of random sub-keys, and the parts of the far end.
func sealed(t *testing.T, o offer) (jobVerify, *roundKey) {
	t.Helper()
	random := randomKey(uint64(o.N))
	v := jobVerify{Terms: terms{ID: roundID{1}, From: "m", To: "d", Offer: o}}
	var subs []part
	for i := range o.Paths {
		sub := random("", "", o.size())
		subs = append(subs, part{Path: i, Handle: qsc.NewSecret(bytes.Clone(sub))})
		v.Parts = append(v.Parts, part{Path: i, Handle: qsc.NewSecret(sub)})
	}
	e := seal(jobSeal{Terms: v.Terms}, subs)
	if e.Kind != qsc.Other {
		t.Fatal(e.Kind)
	}
	v.Terms.Offer.Check = e.Check
	for i := range v.Parts {
		v.Parts[i].Fix = e.Fixes[uint8(i)]
	}
	return v, e.Key.(*roundKey)
}

// Whatever set of sub-keys comes, the key is the same; whatever is altered, in a
// sub-key, the terms or the check, is seen.
func TestCheck(t *testing.T) {
	for _, o := range []offer{{N: 1, Need: 1, Paths: 1}, {N: 40, Need: 3, Paths: 3}, {N: 333, Need: 2, Paths: 4}, {N: 16, Need: 1, Paths: 3}} {
		v, key := sealed(t, o)
		all := v.Parts
		if o.Need < o.Paths {
			v.Parts = []part{all[3%o.Paths], all[1]}[:o.Need]
		}
		e := verify(v)
		if !e.OK || !bytes.Equal(e.Key.(*roundKey).whole(), key.whole()) {
			t.Fatalf("%d of %d: the far end has another key", o.Need, o.Paths)
		}
		sub := subOf(v.Parts[0])
		for i := range sub {
			sub[i] ^= 0x10
			if verify(v).OK {
				t.Fatalf("%d of %d: byte %d altered, and the check holds", o.Need, o.Paths, i)
			}
			sub[i] ^= 0x10
		}
		for name, f := range map[string]func(*terms){
			"id": func(t *terms) { t.ID[0]++ }, "source": func(t *terms) { t.From = "x" }, "far end": func(t *terms) { t.To = "x" },
			"label": func(t *terms) { t.Offer.Label = "x" }, "hops": func(t *terms) { t.Offer.Hops++ },
			"disjoint": func(t *terms) { t.Offer.Disjoint = true }, "check": func(t *terms) { t.Offer.Check[3] ^= 1 },
		} {
			changed := v
			f(&changed.Terms)
			if verify(changed).OK {
				t.Errorf("%d of %d: %s altered, and the check holds", o.Need, o.Paths, name)
			}
		}
	}
}

// The ack's tag is the key's, and says what was said.
func TestAckTag(t *testing.T) {
	_, k := sealed(t, offer{N: 5, Need: 1, Paths: 1})
	ack := &message{ID: roundID{1}, Class: qsc.Simulated, Got: 1}
	tag := k.ackTag(ack)
	for name, other := range map[string]*message{"class": {ID: roundID{1}, Got: 1}, "paths": {ID: roundID{1}, Class: qsc.Simulated, Got: 3}, "round": {Class: qsc.Simulated, Got: 1}} {
		if k.ackTag(other) == tag {
			t.Errorf("%s altered, and the tag holds", name)
		}
	}
	_, o := sealed(t, offer{N: 6, Need: 1, Paths: 1})
	if o.ackTag(ack) == tag {
		t.Error("another key makes the same tag")
	}
}

// A nak of any kind, even one that nobody knows, fails a round and is no key.
func TestNakOfAnyKind(t *testing.T) {
	for kind := range 256 {
		w := newWorld(t)
		w.fresh = randomKey(1)
		w.node("m")
		id, out := w.start([]keymgmt.Path{{"m", "a", "d"}}, 1, 32)
		for len(out.Jobs) > 0 {
			out = w.step(w.nodes["m"], w.perform(w.nodes["m"], out.Jobs[0]))
		}
		w.step(w.nodes["m"], evMessage{"a", &message{Type: typeNak, ID: id.ID, Route: keymgmt.Path{"m", "a", "d"}, Kind: qsc.Kind(kind)}})
		if ends := w.asked[id].ends; len(ends) != 1 || ends[0].Kind == qsc.Other {
			t.Fatalf("nak of kind %d: %v", kind, ends)
		}
	}
}
