package cloudtest

import (
	"errors"
	"io"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

func TestMemCatalog(t *testing.T) {
	Catalog(t, func(*testing.T) cloud.Catalog { return NewMemCatalog() })
}

func TestMemSite(t *testing.T) {
	Site(t, func(*testing.T) cloud.Site { return NewMemSite("alpha") })
	Owners(t, NewMemSite("alpha"))
}

func TestMemSiteHooks(t *testing.T) {
	s, ref := NewMemSite("alpha"), NewRef(home, 1, 1)
	PutShare(t, s, ref, 1, 100, 100, 100)
	if !s.Corrupt(ref, 1) || s.Corrupt(ref, 3) {
		t.Fatal("Corrupt does not tell which pieces there are")
	}
	s.Lie(func(_ cloud.Ref, chunk uint32, p []byte) []byte { return p[:len(p)-int(chunk&1)-1] })
	r, err := s.Open(t.Context(), ref, 0, 3)
	must(t, err)
	for i := range 3 {
		p, err := r.Next()
		if i == 1 {
			kind(t, err, qsc.Corrupt)
			continue
		}
		if must(t, err); len(p) != 99 {
			t.Fatal("the site does not lie")
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Fatalf("got %v, want EOF", err)
	}
	mine := errors.New("mine")
	s.Fail(func(op string, _ cloud.Ref, _ uint32) error {
		if op == "Stat" {
			return mine
		}
		return nil
	})
	if _, err := s.Stat(t.Context(), ref); err != mine {
		t.Fatalf("got %v, want the hook's error", err)
	}
}
