package admin

import (
	"context"
	"log/slog"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// fakeLinks is a node with one link, x, that takes interceptions only.
type fakeLinks struct{}

func (fakeLinks) Attack(link qsc.LinkID, a quantum.Attack) error {
	switch {
	case link != "x/y":
		return qsc.E("", qsc.NotFound, string(link), "no such link")
	case a.Kind != quantum.InterceptResend:
		return qsc.E("", qsc.Unsupported, string(link), "makes no sense here")
	case !(a.Strength >= 0 && a.Strength <= 1):
		return qsc.E("", qsc.Invalid, string(link), "outside 0 to 1")
	}
	return nil
}

func (fakeLinks) Records(link qsc.LinkID, limit int) ([]quantum.Record, error) {
	if link != "x/y" {
		return nil, qsc.E("", qsc.Unsupported, string(link), "distils nothing")
	}
	return make([]quantum.Record, limit), nil
}

func TestLinks(t *testing.T) {
	dir := t.TempDir()
	s, err := Serve(dir, fakeVault{}, fakeLinks{}, func(context.Context) Status { return Status{} }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := NewClient(dir)
	for _, k := range []struct {
		link qsc.LinkID
		a    quantum.Attack
		want qsc.Kind
	}{
		{"x/y", quantum.Attack{Kind: quantum.InterceptResend, Strength: 0.25}, qsc.Other},
		{"x", quantum.Attack{Kind: quantum.InterceptResend}, qsc.NotFound},
		{"x/y", quantum.Attack{Kind: quantum.Blinding}, qsc.Unsupported},
		{"x/y", quantum.Attack{Kind: quantum.InterceptResend, Strength: 2}, qsc.Invalid},
	} {
		if err := c.Attack(t.Context(), k.link, k.a); (err == nil) != (k.want == qsc.Other) || err != nil && !qsc.IsKind(err, k.want) {
			t.Errorf("%s, %+v: %v", k.link, k.a, err)
		}
	}
	if all, err := c.Records(t.Context(), "x/y", 7); err != nil || len(all) != 7 {
		t.Errorf("%d records, %v", len(all), err)
	}
	if all, err := c.Records(t.Context(), "x/y", 1e9); err != nil || len(all) != maxRecords {
		t.Errorf("%d records, %v", len(all), err)
	}
	if _, err := c.Records(t.Context(), "z", 1); !qsc.IsKind(err, qsc.Unsupported) {
		t.Errorf("a link without: %v", err)
	}
}
