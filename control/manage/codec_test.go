package manage

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

var aReport = control.Report{
	Node: "koganei", Boot: 3, Seq: 9, Epoch: 2, Version: 7,
	Links:   []control.LinkState{{Link: "koganei-otemachi", Up: true, Send: 10, Recv: 20, Size: 30, Rate: 3e5, QBER: 0.03, Kind: "bb84", Class: qsc.Simulated, Halted: true}},
	Demands: []control.Demand{{From: "koganei", To: "hongo", Protection: keymgmt.Protection{Paths: 3, Need: 2}, Min: 1, Max: 2, Priority: -1, TTL: time.Minute}},
}

var aTable = control.Table{
	Node: "koganei", Epoch: 4, Version: 1,
	Flows: []control.Flow{{To: "hongo", Protection: keymgmt.Protection{Paths: 1}, Rate: 1e5, Disjoint: true,
		Paths: []keymgmt.Path{{"koganei", "otemachi", "hongo"}}}},
}

func TestCodecRoundTrip(t *testing.T) {
	r := got(EncodeReport(aReport))(t)
	same(t, "report", got(DecodeReport(r))(t), aReport)
	b := got(EncodeTable(aTable))(t)
	same(t, "table", got(DecodeTable(b))(t), aTable)
	hello := control.Table{Epoch: 12}
	same(t, "hello", got(DecodeTable(got(EncodeTable(hello))(t)))(t), hello)
}

func TestCodecRefuses(t *testing.T) {
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for name, text := range map[string]string{
		"no JSON":        `{"node":`,
		"node":           `{"node":"A b"}`,
		"negative":       `{"node":"a","links":[{"link":"l","send":-1}]}`,
		"huge":           `{"node":"a","links":[{"link":"l","send":9223372036854775807}]}`,
		"rate":           `{"node":"a","links":[{"link":"l","rate":-1}]}`,
		"rate too large": `{"node":"a","links":[{"link":"l","rate":1e999}]}`,
		"qber":           `{"node":"a","links":[{"link":"l","qber":1.5}]}`,
		"links":          `{"node":"a","links":[` + many(MaxLinks+1, `{"link":"l"}`) + `]}`,
		"empty links":    `{"node":"a","links":[` + many(MaxLinks+1, `null`) + `]}`,
		"no list":        `{"node":"a","links":{"link":"l"}}`,
		"another's":      `{"node":"a","demands":[{"from":"b","to":"c","protection":{"paths":1}}]}`,
		"itself":         `{"node":"a","demands":[{"from":"a","to":"a","protection":{"paths":1}}]}`,
		"protection":     `{"node":"a","demands":[{"from":"a","to":"b","protection":{"paths":9}}]}`,
		"need":           `{"node":"a","demands":[{"from":"a","to":"b","protection":{"paths":2,"need":3}}]}`,
		"min above max":  `{"node":"a","demands":[{"from":"a","to":"b","protection":{"paths":1},"min":2,"max":1}]}`,
		"long":           `{"node":"a"}` + strings.Repeat(" ", MaxMessage),
	} {
		if _, err := DecodeReport([]byte(text)); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"node":       `{"version":1}`,
		"hops":       `{"node":"a","version":1,"flows":[{"to":"b","protection":{"paths":1},"paths":[[` + many(MaxHops+2, `"x"`) + `]]}]}`,
		"paths":      `{"node":"a","version":1,"flows":[{"to":"b","protection":{"paths":1},"paths":[` + many(keymgmt.MaxPaths+1, `["a","b"]`) + `]}]}`,
		"flows":      `{"node":"a","version":1,"flows":[` + many(MaxDemands+1, `{}`) + `]}`,
		"protection": `{"node":"a","version":1,"flows":[{"to":"b"}]}`,
	} {
		if _, err := DecodeTable([]byte(text)); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	big := aReport
	big.Demands = make([]control.Demand, MaxDemands+1)
	_, err := EncodeReport(big)
	want(t, err, qsc.Invalid)
}

// What is decoded can be encoded and means the same.
func FuzzDecodeReport(f *testing.F) {
	b, err := EncodeReport(aReport)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"node":"a","links":null,"LINKS":[{"link":"x"}],"demands":[]}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReport(b)
		if err != nil {
			want(t, err, qsc.Invalid)
			return
		}
		again(t, r, EncodeReport, DecodeReport)
	})
}

func FuzzDecodeTable(f *testing.F) {
	b, err := EncodeTable(aTable)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"epoch":3}`))
	f.Add([]byte(`{"node":"a","flows":[{"to":"b","protection":{"paths":1},"paths":[null,[]]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeTable(b)
		if err != nil {
			want(t, err, qsc.Invalid)
			return
		}
		again(t, v, EncodeTable, DecodeTable)
	})
}

func again[T any](t *testing.T, v T, encode func(T) ([]byte, error), decode func([]byte) (T, error)) {
	t.Helper()
	once := got(encode(v))(t)
	twice := got(encode(got(decode(once))(t)))(t)
	if !bytes.Equal(once, twice) {
		t.Fatalf("%s\nis then\n%s", once, twice)
	}
}

// Nothing of key, pad position or consent can travel: every member of the two
// messages is on this list, which grows only with a reason.
func TestMessagesCarryOnlyRecomputableState(t *testing.T) {
	allowed := strings.Fields(`node boot seq epoch version links demands flows
		link up send recv size rate qber kind class halted
		from to protection paths need min max priority ttl disjoint short`)
	seen := map[string]bool{}
	for _, v := range []any{control.Report{}, control.Table{}} {
		members(reflect.TypeOf(v), seen)
	}
	for _, a := range allowed {
		if !seen[a] {
			t.Errorf("%q is allowed and never sent", a)
		}
		delete(seen, a)
	}
	for name := range seen {
		t.Errorf("the bus would carry %q: key, offsets and consent never do; if it can be recomputed from what nodes report, add it here and say why", name)
	}
}

// members collects the JSON names of a type and refuses bytes, maps and
// interfaces, in which anything could hide.
func members(v reflect.Type, seen map[string]bool) {
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		if v.Elem().Kind() == reflect.Uint8 {
			seen["bytes: "+v.String()] = true
		}
		members(v.Elem(), seen)
	case reflect.Struct:
		for f := range v.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				name = f.Name
			}
			seen[name] = true
			members(f.Type, seen)
		}
	case reflect.Map, reflect.Interface, reflect.Pointer, reflect.Func, reflect.Chan:
		seen["hiding place: "+v.String()] = true
	}
}

// The types decoded by hand take every member that the contract has.
func TestWireNamesAreTheContracts(t *testing.T) {
	var r map[string]any
	must(t, json.Unmarshal(got(EncodeReport(aReport))(t), &r))
	if len(r) != reflect.TypeFor[control.Report]().NumField() {
		t.Fatalf("a report is written with %d members", len(r))
	}
}
