package admin

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A client that asked once and is forgotten leaves no connection behind, at either end.
func TestClientKeepsNoConnection(t *testing.T) {
	dir := t.TempDir()
	path, err := SocketPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
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
