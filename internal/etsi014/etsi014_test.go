package etsi014

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func id(n byte) qsc.KeyID { return qsc.KeyID(bytes.Repeat([]byte{n}, 16)) }

func TestKeyRequests(t *testing.T) {
	for text, want := range map[string]KeyRequest{
		`{}`:                              {},
		` { "number" : 3 , "size":256 } `: {Number: 3, Size: 256},
		`{"number":null,"extension_optional":null}`:     {},
		`{"additional_slave_SAE_IDs":["a","\u00e9/b"]}`: {Slaves: []string{"a", "é/b"}},
		`{"extension_mandatory":[{"abc_route":"direct"},{"abc_max":{"a":[1,-2.5e3,true,null]}}]}`: {
			Mandatory: []Extension{{"abc_route", []byte(`"direct"`)}, {"abc_max", []byte(`{"a":[1,-2.5e3,true,null]}`)}}},
		`{"size":2147483647}`: {Size: MaxInt},
	} {
		got, err := DecodeKeyRequest([]byte(text))
		if err != nil || !sameRequest(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func sameRequest(a, b KeyRequest) bool { return bytes.Equal(a.Append(nil), b.Append(nil)) }

func TestBadKeyRequests(t *testing.T) {
	for _, text := range []string{
		"", " ", "null", "[]", "{", `{"number":1`, `{"number":1}}`, `{"number":1}x`, `{"number":1,}`, `{,}`, `{"number":01}`,
		`{"number":-1}`, `{"number":0}`, `{"size":0}`, `{"number":1.0}`, `{"number":1e1}`, `{"number":"1"}`, `{"number":true}`,
		`{"number":2147483648}`, `{"number":99999999999999999999999}`, `{"number":1,"number":2}`, `{"Number":1}`, `{"numbr":1}`,
		`{"additional_slave_SAE_IDs":"a"}`, `{"additional_slave_SAE_IDs":[""]}`, `{"additional_slave_SAE_IDs":[1]}`,
		`{"extension_mandatory":{"a":1}}`, `{"extension_mandatory":[{"a":1},{"a":2}]}`, `{"extension_mandatory":[1]}`,
		"{\"number\":1,\"x\xff\":1}", `{"a\`, `{"a\"`, `{"a":"\u12"}`, "{\"a\n\":1}",
		`{"extension_optional":[{"a":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}]}`,
		`{"extension_optional":[` + strings.Repeat(`{},`, MaxExtensions) + `{}]}`,
	} {
		if r, err := DecodeKeyRequest([]byte(text)); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
}

func TestKeyIDs(t *testing.T) {
	want := []qsc.KeyID{id(0xab), id(1)}
	text := AppendKeyIDs(nil, want)
	for _, b := range [][]byte{text, bytes.ReplaceAll(text, []byte("ab"), []byte("AB")),
		[]byte(`{"key_IDs_extension":{"a":1},"key_IDs":[{"key_ID_extension":1,"key_ID":"` + id(0xab).String() + `"},{"key_ID":"` + id(1).String() + `"}]}`)} {
		got, err := DecodeKeyIDs(b, 2)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", b, got, err)
		}
	}
	one := `{"key_ID":"` + id(1).String() + `"}`
	for _, bad := range []string{
		"", "{}", `{"key_IDs":[]}`, `{"key_IDs":[{}]}`, `{"key_IDs":[{"key_ID":"x"}]}`, `{"key_IDs":[{"key_ID":1}]}`,
		`{"key_IDs":["` + id(1).String() + `"]}`, `{"key_IDs":[` + one + "," + one + `]}`, `{"key_IDs":[` + one + `],"key_IDs":[]}`,
		`{"key_IDs":[{"key_ID":"` + strings.Repeat("0", 36) + `"}]}`, `{"key_IDs":[{"key_ID":"zz` + id(1).String()[2:] + `"}]}`, `{"a":1}`,
		string(AppendKeyIDs(nil, []qsc.KeyID{id(1), id(2), id(3)})),
	} {
		if ids, err := DecodeKeyIDs([]byte(bad), 2); !qsc.IsKind(err, qsc.Invalid) || ids != nil {
			t.Errorf("%s: %v, %v", bad, ids, err)
		}
	}
}

func TestContainers(t *testing.T) {
	raw := []byte("0123456789abcdefghijklmnopqrstuv")
	for _, ext := range [][]byte{nil, []byte(`{"qsc_class":"its"}`)} {
		text := AppendContainer(nil, []qsc.KeyID{id(1), id(2)}, 16, raw, ext, ext)
		if !json.Valid(text) || len(text) > containerLen(2, 16, len(ext), len(ext)) {
			t.Fatalf("a container of %d bytes, valid %t", len(text), json.Valid(text))
		}
		var std struct {
			Keys []struct {
				ID string `json:"key_ID"`
				K  []byte `json:"key"`
			} `json:"keys"`
		}
		if err := json.Unmarshal(text, &std); err != nil || len(std.Keys) != 2 || std.Keys[1].ID != id(2).String() || !bytes.Equal(std.Keys[1].K, raw[16:]) {
			t.Fatalf("encoding/json reads %d of 2, %v", len(std.Keys), err)
		}
		c, err := DecodeContainer(text, 2)
		if err != nil || c.Size != 16 || !slices.Equal(c.IDs, []qsc.KeyID{id(1), id(2)}) || !c.Bytes.Equal(qsc.NewSecret(raw)) || !bytes.Equal(c.Extension, ext) {
			t.Fatal("the container comes back different", err)
		}
		if _, err := DecodeContainer(text, 1); !qsc.IsKind(err, qsc.Corrupt) {
			t.Fatal("over its limit:", err)
		}
	}
}

func TestForeignContainers(t *testing.T) {
	one := `"key_ID":"` + id(1).String() + `","key":"AAA\/"`
	for text, ok := range map[string]bool{
		`{"Keys":[{` + one + `,"x":[{}]}],"y":1}`: true,
		`{"keys":[{` + one + `},{` + one + `}]}`:  false,
		`{"keys":[{"key":"AAAA"}]}`:               false,
		`{"keys":[]}`:                             false,
		`{}`:                                      false,
		`{"keys":[{` + one + `,"key":"AAAA"}]}`:   false,
		`{"keys":[{"key_ID":"` + id(1).String() + `","key":"A==="}]}`:                   false,
		`{"keys":[{"key_ID":"` + id(1).String() + `","key":""}]}`:                       false,
		`{"keys":[{` + one + `},{"key_ID":"` + id(2).String() + `","key":"AAAAAAAA"}]}`: false,
	} {
		if _, err := DecodeContainer([]byte(text), 10); (err == nil) != ok || err != nil && !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestStatusClamps(t *testing.T) {
	st := Status{SourceKME: "A", Slave: `s"x`, KeySize: 256, Stored: 1 << 40, MaxKeys: 1, MinSize: 512, MaxSize: 8, Extension: []byte(`{"a":1}`)}
	text := st.Append(nil)
	got, err := DecodeStatus(text)
	if err != nil || !json.Valid(text) {
		t.Fatal(string(text), err)
	}
	want := Status{SourceKME: "A", Slave: `s"x`, KeySize: 256, Stored: MaxInt, MaxKeys: MaxInt, MinSize: 256, MaxSize: 256, Extension: []byte(`{"a":1}`)}
	if !bytes.Equal(got.Append(nil), want.Append(nil)) {
		t.Errorf("%s", text)
	}
	for _, bad := range []string{"", "[]", `{"key_size":-1}`, `{"key_size":"1"}`, `{"source_KME_ID":1}`} {
		if _, err := DecodeStatus([]byte(bad)); !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzKeyRequest(f *testing.F) {
	f.Add([]byte(`{"number":3,"size":256,"additional_slave_SAE_IDs":["a\n"],"extension_mandatory":[{"a":{"b":[1.5,"\u00e9"]}}],"extension_optional":null}`))
	f.Add([]byte(`{"number":01}`))
	f.Add([]byte(`{"a\`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeKeyRequest(b)
		if err != nil {
			if !qsc.IsKind(err, qsc.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q is not JSON", b)
		}
		text := r.Append(nil)
		again, err := DecodeKeyRequest(text)
		if err != nil || !sameRequest(r, again) || !json.Valid(text) {
			t.Fatalf("%q became %q: %v", b, text, err)
		}
	})
}

func FuzzKeyIDs(f *testing.F) {
	f.Add(AppendKeyIDs(nil, []qsc.KeyID{id(1), id(0xff)}))
	f.Add([]byte(`{"key_IDs":[{"key_ID":"00000000-0000-0000-0000-000000000000","key_ID_extension":{}}],"key_IDs_extension":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ids, err := DecodeKeyIDs(b, 4)
		if err != nil {
			return
		}
		if !json.Valid(b) || len(ids) == 0 || len(ids) > 4 {
			t.Fatalf("%q was taken", b)
		}
		if again, err := DecodeKeyIDs(AppendKeyIDs(nil, ids), 4); err != nil || !slices.Equal(again, ids) {
			t.Fatalf("%q does not come back: %v", b, err)
		}
	})
}

func FuzzContainer(f *testing.F) {
	f.Add(AppendContainer(nil, []qsc.KeyID{id(1), id(2)}, 16, make([]byte, 32), []byte(`{}`), []byte(`{"a":1}`)))
	f.Add([]byte(`{"keys":[{"key":"AAAA","key":"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeContainer(b, 8)
		if err != nil {
			return
		}
		if !json.Valid(b) || c.Bytes.Len() != c.Size*len(c.IDs) || c.Size == 0 || len(c.IDs) > 8 {
			t.Fatalf("%d keys of %d bytes in %d bytes", len(c.IDs), c.Size, c.Bytes.Len())
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add((&Status{SourceKME: "A", KeySize: 256, Extension: []byte(`{}`)}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := DecodeStatus(b)
		if err != nil {
			return
		}
		if text := st.Append(nil); !json.Valid(b) || !json.Valid(text) {
			t.Fatalf("%q became %q", b, text)
		}
	})
}
