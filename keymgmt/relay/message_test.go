package relay

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

func wireOf(m *message) []byte {
	head, tail := m.encode()
	return slices.Concat(head, tail)
}

// examples are messages of every type.
func examples() []*message {
	route := keymgmt.Path{"m", "a", "d"}
	in := []stretch{{Lane: 1, Epoch: 2, Pos: 48, Len: 32}, {Pos: 1 << 40, Len: 48}}
	o := offer{N: 20, Need: 1, Paths: 2, Hops: 2, Disjoint: true, Label: "label", Check: [16]byte{1}}
	return []*message{
		{Type: typeOrder, ID: roundID{1}, Path: 1, At: 1, Route: route, Ref: 7, Class: qsc.Simulated, In: in, Offer: o, Fix: bytes.Repeat([]byte{1}, 80)},
		{Type: typeOrder, ID: roundID{1}, Path: 1, At: 2, Route: route, Ref: 7, Hop: true, In: in, Offer: o, Carried: bytes.Repeat([]byte{2}, 80)},
		{Type: typeAnnounce, Ref: 9, First: 1, Last: 3, Public: bytes.Repeat([]byte{3}, 80)},
		{Type: typeAck, ID: roundID{1}, Path: 1, At: 0, Route: route, Class: 3, Got: 5, Tag: [16]byte{9}},
		{Type: typeNak, ID: roundID{1}, Path: 7, At: 1, Route: route, Kind: qsc.Exhausted},
		{Type: typeTell, At: 1, Route: route, Topic: keymgmt.TopicSync, Public: []byte("text")},
		{Type: typeVoid, In: in},
	}
}

func TestMessagesComeBack(t *testing.T) {
	for _, m := range examples() {
		got, err := parse(wireOf(m))
		if err != nil {
			t.Errorf("type %d: %v", m.Type, err)
			continue
		}
		if got.Type == typeOrder && len(got.Fix) == 0 {
			got.Fix = nil
		}
		if got.Type == typeOrder && len(got.Carried) == 0 {
			got.Carried = nil
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("type %d came back changed", m.Type)
		}
	}
}

// Every fault is refused with its kind.
func TestBadMessages(t *testing.T) {
	change := func(i int, f func(*message)) []byte {
		m := *examples()[i]
		f(&m)
		return wireOf(&m)
	}
	for name, b := range map[string][]byte{
		"empty":           {},
		"unknown type":    {format, 99},
		"own source":      change(0, func(m *message) { m.At = 0 }),
		"beyond the end":  change(0, func(m *message) { m.At = 3 }),
		"twice a node":    change(0, func(m *message) { m.Route = keymgmt.Path{"m", "a", "m"} }),
		"no name":         change(0, func(m *message) { m.Route = keymgmt.Path{"m", "", "d"} }),
		"too many hops":   change(0, func(m *message) { m.Route = make(keymgmt.Path, MaxHops+2) }),
		"no bytes":        change(0, func(m *message) { m.Offer.N = 0 }),
		"too many bytes":  change(0, func(m *message) { m.Offer.N = keymgmt.MaxRound + 1 }),
		"need none":       change(0, func(m *message) { m.Offer.Need = 0 }),
		"need too many":   change(0, func(m *message) { m.Offer.Need = 3 }),
		"no such path":    change(0, func(m *message) { m.Path = 2 }),
		"long label":      change(0, func(m *message) { m.Offer.Label = string(make([]byte, 257)) }),
		"short fix":       change(0, func(m *message) { m.Fix = m.Fix[1:] }),
		"needless fix":    change(0, func(m *message) { m.Offer.Need = 2 }),
		"carries unasked": change(0, func(m *message) { m.Carried = m.Fix }),
		"carries nothing": change(1, func(m *message) { m.Carried = nil }),
		"short key":       change(0, func(m *message) { m.In = m.In[:1] }),
		"part too short":  change(6, func(m *message) { m.In = []stretch{{Len: 16}} }),
		"part crooked":    change(6, func(m *message) { m.In = []stretch{{Len: 32, Pos: 8}} }),
		"no part":         change(6, func(m *message) { m.In = nil }),
		"nine parts":      change(6, func(m *message) { m.In = slices.Repeat(m.In, 5)[:9] }),
		"of node 0":       change(2, func(m *message) { m.First = 0 }),
		"backwards":       change(2, func(m *message) { m.First = 4 }),
		"says nothing":    change(2, func(m *message) { m.Public = nil }),
		"cut":             wireOf(examples()[3])[:40],
		"longer":          append(wireOf(examples()[4]), 0),
		"too long":        make([]byte, MaxMessage+1),
	} {
		kind := qsc.Invalid
		if name == "empty" {
			kind = qsc.Unsupported
		}
		if _, err := parse(b); !qsc.IsKind(err, kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse: whatever is accepted is within bounds, comes back the same, and no
// core chokes on it.
func FuzzParse(f *testing.F) {
	for _, m := range examples() {
		f.Add(wireOf(m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err != nil {
			return
		}
		if again, err := parse(wireOf(m)); err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("an accepted message does not come back: %v", err)
		}
		for _, self := range []qsc.NodeID{"m", "a", "d"} {
			for _, peer := range []qsc.NodeID{"m", "a", "d"} {
				c := newCore(self, false, 0, defaultBounds)
				out := c.step(evMessage{peer, m})
				if len(out.Jobs)+len(out.Sends) > 1+len(m.In) {
					t.Fatalf("one message causes %d jobs and %d more", len(out.Jobs), len(out.Sends))
				}
			}
		}
	})
}
