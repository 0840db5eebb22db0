package admin

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// listen takes the place of the node of a directory.
func listen(t *testing.T) (dir string, l net.Listener) {
	t.Helper()
	dir = t.TempDir()
	path, err := SocketPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if l, err = net.Listen("unix", path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return dir, l
}

// A client that asked once and is forgotten leaves no connection behind, at either end.
func TestClientKeepsNoConnection(t *testing.T) {
	dir, l := listen(t)
	closed := make(chan struct{}, 1)
	s := http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, Status{}) }),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				closed <- struct{}{}
			}
		},
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	if _, err := NewClient(dir).Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Error("the connection of a client that nobody has any more stays open")
	}
}

// A refusal that does not hang on the bytes comes before any of them is sent.
func TestRefusedPutSendsNothing(t *testing.T) {
	c := serve(t, fakeVault{put: func(io.Reader, cloud.PutOptions) error {
		return qsc.E("test", qsc.Conflict, "", "there is one of that name")
	}})
	body := iotest.ErrReader(errors.New("the body was asked for"))
	for _, size := range []int64{-1, 1 << 40} {
		if _, err := c.Put(t.Context(), "x", body, PutOptions{Size: size}); !qsc.IsKind(err, qsc.Conflict) {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

// A node that dies under a put is no pipe that the user has closed.
func TestNodeDiesUnderPut(t *testing.T) {
	dir, l := listen(t)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		_, _ = io.CopyN(io.Discard, c, 1<<20)
	}()
	_, err := NewClient(dir).Put(t.Context(), "x", zeros{}, PutOptions{Size: 1 << 40})
	if !qsc.IsKind(err, qsc.Unreachable) || errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
