package vici

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// The example of the protocol's description: one of each element.
var example = (&Section{}).Set("key1", "value1").
	Put("section1", (&Section{}).
		Put("sub-section", (&Section{}).Set("key2", "value2")).
		SetList("list1", "item1", "item2"))

var exampleWire = "\x03\x04key1\x00\x06value1" +
	"\x01\x08section1" +
	"\x01\x0bsub-section\x03\x04key2\x00\x06value2\x02" +
	"\x04\x05list1\x05\x00\x05item1\x05\x00\x05item2\x06" +
	"\x02"

func TestEncode(t *testing.T) {
	got, err := example.encode(nil)
	if err != nil || string(got) != exampleWire {
		t.Errorf("%q, %v", got, err)
	}
	if len(got) != example.size() {
		t.Errorf("size %d, want %d", example.size(), len(got))
	}
	back, err := Decode(got)
	if err != nil || !reflect.DeepEqual(back, example) {
		t.Errorf("%+v, %v", back, err)
	}
	for _, s := range []*Section{
		(&Section{}).Set("", "x"), (&Section{}).Set(string(make([]byte, 256)), ""), (&Section{}).Set("n", string(make([]byte, 65536))),
		(&Section{}).SetList("n", string(make([]byte, 65536))), (&Section{}).Put("s", (&Section{}).Set("", "")),
	} {
		if _, err := s.encode(nil); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("what the wire cannot carry: %v", err)
		}
	}
}

func TestGet(t *testing.T) {
	s1 := example.Section("section1")
	if example.Get("key1") != "value1" || s1.Section("sub-section").Get("key2") != "value2" || len(s1.GetList("list1")) != 2 ||
		example.Get("none") != "" || example.Section("none") != nil || example.GetList("none") != nil {
		t.Error("wrong values")
	}
}

func TestDecodeBroken(t *testing.T) {
	deep := bytes.Repeat([]byte("\x01\x01s"), maxDepth+1)
	for _, in := range []string{"\x02", "\x07", "\x00", "\x03\x04key", "\x03\x01k\x00\x05x", "\x01\x01s", "\x04\x01l", "\x04\x01l\x03", "\x04\x01l\x05\x00", string(deep)} {
		if _, err := Decode([]byte(in)); !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// packet frames what a daemon says.
func packet(kind byte, name string, s *Section) []byte {
	b := []byte{kind}
	if kind == event {
		b = appendName(b, name)
	}
	b, _ = s.encode(b)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// daemon answers each request with the packets that script has for it.
func daemon(t *testing.T, script map[string][]byte) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "vici")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for {
			var head [4]byte
			if _, err := io.ReadFull(c, head[:]); err != nil {
				return
			}
			b := make([]byte, binary.BigEndian.Uint32(head[:]))
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			_, _ = c.Write(script[string(b[2:2+b[1]])])
		}
	})
	c, err := Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = ln.Close(); serving.Wait() })
	return c
}

func TestCalls(t *testing.T) {
	ok := packet(cmdResponse, "", (&Section{}).Set("success", "yes"))
	noise := packet(event, "ike-updown", &Section{})
	c := daemon(t, map[string][]byte{
		"good":    append(bytes.Clone(noise), ok...),
		"bad":     packet(cmdResponse, "", (&Section{}).Set("success", "no").Set("errmsg", "no such child")),
		"unknown": packet(cmdUnknown, "", &Section{}),
		"list-sa": packet(eventConfirm, "", &Section{}),
		"list-sas": append(append(packet(event, "list-sa", (&Section{}).Set("n", "1")), noise...),
			append(packet(event, "list-sa", (&Section{}).Set("n", "2")), packet(cmdResponse, "", &Section{})...)...),
		"none": packet(eventUnknown, "", &Section{}),
	})
	if a, err := c.Call(t.Context(), "good", &Section{}); err != nil || a.Get("success") != "yes" {
		t.Errorf("good: %v", err)
	}
	if _, err := c.Call(t.Context(), "bad", &Section{}); err == nil || qsc.KindOf(err) != qsc.Other {
		t.Errorf("bad: %v", err)
	}
	if _, err := c.Call(t.Context(), "unknown", &Section{}); !qsc.IsKind(err, qsc.Unsupported) {
		t.Errorf("unknown: %v", err)
	}
	var got string
	if _, err := c.Stream(t.Context(), "list-sas", "list-sa", &Section{}, func(s *Section) { got += s.Get("n") }); err != nil || got != "12" {
		t.Errorf("stream: %q, %v", got, err)
	}
	if _, err := c.Stream(t.Context(), "list-sas", "none", &Section{}, nil); !qsc.IsKind(err, qsc.Unsupported) {
		t.Errorf("unknown event: %v", err)
	}
	if _, err := c.Call(t.Context(), "good", (&Section{}).SetList("l", make([]string, MaxPacket/3)...)); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("too long: %v", err)
	}
}

func TestHostileDaemon(t *testing.T) {
	for name, said := range map[string][]byte{
		"an endless packet": {0xff, 0xff, 0xff, 0xff, 1},
		"an empty packet":   {0, 0, 0, 0},
		"a broken message":  {0, 0, 0, 2, cmdResponse, 9},
	} {
		c := daemon(t, map[string][]byte{"x": said})
		if _, err := c.Call(t.Context(), "x", &Section{}); !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := daemon(t, nil) // says nothing
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Call(ctx, "x", &Section{}); !qsc.IsKind(err, qsc.Timeout) {
		t.Errorf("silence: %v", err)
	}
}

func TestNoDaemon(t *testing.T) {
	if _, err := Dial(t.Context(), filepath.Join(t.TempDir(), "none")); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("%v", err)
	}
}

func FuzzPacket(f *testing.F) {
	f.Add([]byte("\x01" + exampleWire))
	f.Add([]byte("\x07\x07list-sa" + exampleWire))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, s, err := parse(b)
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Errorf("kind %v", qsc.KindOf(err))
			}
			return
		}
		again, err := s.encode(nil)
		if err != nil {
			return // an empty name can be read, not written
		}
		back, err := Decode(again)
		if err != nil || !reflect.DeepEqual(back, s) || len(again) != s.size() {
			t.Errorf("not read back: %v", err)
		}
	})
}
