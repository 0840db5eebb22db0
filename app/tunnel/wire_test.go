package tunnel

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", maxLine+1)
	for in, kind := range map[string]qsc.Kind{"{}\n": qsc.Other, long: qsc.Invalid} {
		_, err := readLine(bufio.NewReaderSize(strings.NewReader(in), maxLine))
		if qsc.KindOf(err) != kind {
			t.Errorf("%.10q: %v", in, err)
		}
	}
	if _, err := readLine(bufio.NewReaderSize(strings.NewReader("{"), maxLine)); err == nil {
		t.Error("half a line was taken")
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"op":"hello","tunnel":"t"}`,
		`{"op":"prepare","tunnel":"t","id":"01234567-89ab-4cde-8f01-23456789abcd","undo":"01234567-89AB-4CDE-8f01-23456789abcd"}`,
		`{"op":"switch","id":"x"}`, `{"op":1}`, `{} {}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, id, undo, err := decodeRequest(line)
		if err != nil {
			if !qsc.IsKind(err, qsc.Invalid) {
				t.Errorf("kind %v", qsc.KindOf(err))
			}
			return
		}
		if r.ID != "" && !strings.EqualFold(r.ID, id.String()) || r.Undo != "" && !strings.EqualFold(r.Undo, undo.String()) {
			t.Error("an ID was read as another")
		}
	})
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("{\"last\":\"x\"}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		line, err := readLine(bufio.NewReaderSize(bytes.NewReader(in), maxLine))
		if err == nil && (len(line) >= maxLine || bytes.IndexByte(line, '\n') >= 0) {
			t.Error("not one line")
		}
		var a answer
		_ = strict(line, &a)
	})
}
