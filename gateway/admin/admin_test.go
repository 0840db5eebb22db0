package admin

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// fakeVault answers as it is told.
type fakeVault struct {
	cloud.Vault
	put func(io.Reader, cloud.PutOptions) error
	get func(io.Writer) error
}

func (v fakeVault) Put(_ context.Context, name string, r io.Reader, opt cloud.PutOptions) (cloud.Report, error) {
	return cloud.Report{Record: cloud.Record{Name: name, Size: opt.Size}}, v.put(r, opt)
}

func (v fakeVault) Get(_ context.Context, name string, w io.Writer, _ cloud.GetOptions) (cloud.Report, error) {
	return cloud.Report{Record: cloud.Record{Name: name}, Faults: []cloud.Fault{{Site: "a", Kind: qsc.Tampered, Chunk: 3, Err: io.EOF}}}, v.get(w)
}

func serve(t *testing.T, v cloud.Vault) *Client {
	t.Helper()
	dir := t.TempDir()
	s, err := Serve(dir, v, fakeLinks{}, func(context.Context) Status { return Status{Node: "n"} }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return NewClient(dir)
}

func TestPutCarriesTheBytes(t *testing.T) {
	data := bytes.Repeat([]byte("byte"), 300_000)
	for _, size := range []int64{int64(len(data)), -1} {
		var got bytes.Buffer
		var opt cloud.PutOptions
		c := serve(t, fakeVault{put: func(r io.Reader, o cloud.PutOptions) error {
			opt = o
			_, err := got.ReadFrom(r)
			return err
		}})
		rep, err := c.Put(t.Context(), "a name/ä", bytes.NewReader(data), PutOptions{Size: size, Policy: "p", Replace: true})
		if err != nil || !bytes.Equal(got.Bytes(), data) || rep.Object.Name != "a name/ä" || opt.Size != size || opt.Policy != "p" || !opt.Replace {
			t.Fatalf("%+v, %+v, %v", rep.Object, opt, err)
		}
	}
}

// A put that is refused while bytes still come ends with the vault's reason.
func TestPutRefused(t *testing.T) {
	c := serve(t, fakeVault{put: func(io.Reader, cloud.PutOptions) error { return qsc.E("v", qsc.Exhausted, "", "no pad") }})
	_, err := c.Put(t.Context(), "o", bytes.NewReader(make([]byte, 8<<20)), PutOptions{Size: 8 << 20})
	if k := qsc.KindOf(err); k != qsc.Exhausted && k != qsc.Unreachable {
		t.Error("got", err) // Unreachable where the pipe broke before the answer was read
	}
}

// A get that fails after its first bytes is never taken for a whole one.
func TestGetFailsMidway(t *testing.T) {
	for _, n := range []int{0, 1, 5 << 20} {
		c := serve(t, fakeVault{get: func(w io.Writer) error {
			if _, err := w.Write(make([]byte, n)); err != nil {
				return err
			}
			return qsc.E("v", qsc.Insufficient, "", "a site died\nand another")
		}})
		var got bytes.Buffer
		rep, err := c.Get(t.Context(), "o", &got, 0, -1)
		if !qsc.IsKind(err, qsc.Insufficient) || !strings.Contains(err.Error(), "and another") || got.Len() != n {
			t.Errorf("%d bytes: %d came, %v", n, got.Len(), err)
		}
		if n > 0 && (len(rep.Faults) != 1 || rep.Faults[0].Site != "a") {
			t.Errorf("faults %+v", rep.Faults)
		}
	}
}

func TestGetWhole(t *testing.T) {
	c := serve(t, fakeVault{get: func(w io.Writer) error { _, err := io.WriteString(w, "all of it"); return err }})
	var got bytes.Buffer
	if rep, err := c.Get(t.Context(), "o", &got, 0, -1); err != nil || got.String() != "all of it" || rep.Object.Name != "o" {
		t.Error(got.String(), rep, err)
	}
}

func TestNobodyThere(t *testing.T) {
	_, err := NewClient(t.TempDir()).Status(t.Context())
	if !qsc.IsKind(err, qsc.Unreachable) || !strings.Contains(err.Error(), "qsc up") {
		t.Error("got", err)
	}
}

func TestSocketPath(t *testing.T) {
	short, err := SocketPath("/a")
	if err != nil || short != "/a/admin.sock" {
		t.Error(short, err)
	}
	long := filepath.Join("/", strings.Repeat("long/", 40))
	a, err1 := SocketPath(long)
	b, err2 := SocketPath(long + "/x")
	if err1 != nil || err2 != nil || len(a) > maxSocketPath+len(os.TempDir()) || a == b {
		t.Errorf("%q %q", a, b)
	}
}

func TestSocketIsTheOwnersOnly(t *testing.T) {
	dir := t.TempDir()
	s, err := Serve(dir, fakeVault{}, fakeLinks{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path, _ := SocketPath(dir)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

// FuzzQuery gives the server any query: it answers, and never with a success for
// numbers that are none.
func FuzzQuery(f *testing.F) {
	f.Add("name=x&offset=1&length=-1")
	f.Add("name=x&offset=9e9")
	s := &Server{vault: fakeVault{get: func(io.Writer) error { return nil }}, transfers: make(chan struct{}, 1)}
	h := s.routes()
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "http://node/v1/objects/content", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		q, _ := url.ParseQuery(query)
		if _, err := number(r.URL.Query(), "offset", 0); (err != nil) != (w.Code == 400) && q.Get("length") == "" {
			t.Errorf("status %d, %v", w.Code, err)
		}
	})
}
