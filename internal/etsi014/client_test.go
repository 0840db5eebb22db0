package etsi014

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// kme answers every request with the text that reply gives, as it stands; "" closes
// the connection.
func kme(t *testing.T, reply func(r *http.Request, conn, n int) string) (*Client, func(timeout time.Duration, fresh bool) *Client) {
	t.Helper()
	ca := testkit.NewCA(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.Leaf(t, "kme")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	all.Go(func() {
		for conns := 0; ; conns++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { answerAll(c, conns, reply) })
		}
	})
	client := func(timeout time.Duration, fresh bool) *Client {
		c, err := NewClient(ClientConfig{URL: "https://" + l.Addr().String(), TLS: ca.Client(ca.Leaf(t, "sae")), Timeout: timeout, NewConnections: fresh})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	return client(time.Minute, false), client
}

func answerAll(c net.Conn, conn int, reply func(*http.Request, int, int) string) {
	defer c.Close()
	in := bufio.NewReader(c)
	for n := 0; ; n++ {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		text := reply(r, conn, n)
		if _, err := io.WriteString(c, text); err != nil || text == "" {
			return
		}
	}
}

var good = string(AppendContainer(nil, []qsc.KeyID{id(1)}, 32, make([]byte, 32), nil, nil))

func sized(status, text string) string {
	return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " + itoa(len(text)) + "\r\n\r\n" + text
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func TestAnswers(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + good[:5] + "\r\n" + "40\r\n" + good[5:69] + "\r\n"
	rest := good[69:]
	chunked += hexLen(len(rest)) + "\r\n" + rest + "\r\n0\r\n\r\n"
	for text, want := range map[string]qsc.Kind{
		sized("200 OK", good): qsc.Other,
		strings.ReplaceAll(sized("200", good), "Content-Length", "content-length"): qsc.Other,
		"HTTP/1.1 100 Continue\r\n\r\n" + sized("200 OK", good):                    qsc.Other,
		chunked:               qsc.Other,
		sized("200 OK", "{}"): qsc.Corrupt,
		sized("200 OK", ""):   qsc.Corrupt,
		sized("400 Bad Request", string(AppendError(nil, TextKeysNotFound))):     qsc.NotFound,
		sized("400 Bad Request", string(AppendError(nil, TextMandatory))):        qsc.Unsupported,
		sized("400 Bad Request", "<html>"):                                       qsc.Invalid,
		sized("401 Unauthorized", ""):                                            qsc.Denied,
		sized("404 Not Found", "{}"):                                             qsc.NotFound,
		sized("500 Oops", "{}"):                                                  qsc.Unreachable,
		sized("302 Found", ""):                                                   qsc.Unreachable,
		"SSH-2.0-x\r\n\r\n":                                                      qsc.Corrupt,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345": qsc.Corrupt,
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n":                    qsc.Corrupt,
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<15):                    qsc.Corrupt,
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n":                          qsc.Corrupt,
	} {
		c, _ := kme(t, func(*http.Request, int, int) string { return text })
		k, err := c.EncKeys(t.Context(), "bob", KeyRequest{})
		if qsc.KindOf(err) != want || (err == nil) != (k != nil) {
			t.Errorf("%.60q: %v, want %v", text, err, want)
		}
	}
}

func hexLen(n int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[n/16], digits[n%16]})
}

func TestAnswerWithoutEnd(t *testing.T) {
	_, client := kme(t, func(*http.Request, int, int) string { return "HTTP/1.0 200 OK\r\n\r\n" + good })
	if _, err := client(100*time.Millisecond, false).EncKeys(t.Context(), "bob", KeyRequest{}); !qsc.IsKind(err, qsc.Timeout) {
		t.Error(err)
	}
}

func TestRetryAfter(t *testing.T) {
	c, _ := kme(t, func(*http.Request, int, int) string {
		return "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
	})
	_, err := c.EncKeys(t.Context(), "bob", KeyRequest{})
	var r *Refusal
	if !qsc.IsKind(err, qsc.Exhausted) || !errors.As(err, &r) || r.RetryAfter != 7*time.Second {
		t.Error(err)
	}
}

// A kept connection that the KME has closed meanwhile is replaced once; a new one
// that breaks is not.
func TestStaleConnections(t *testing.T) {
	var calls, conns atomic.Int64
	c, client := kme(t, func(_ *http.Request, conn, n int) string {
		calls.Add(1)
		conns.Store(int64(conn))
		if n > 0 {
			return ""
		}
		return sized("200 OK", good)
	})
	for i := range 3 {
		if _, err := c.EncKeys(t.Context(), "bob", KeyRequest{}); err != nil || conns.Load() != int64(i) {
			t.Fatalf("call %d over connection %d: %v", i, conns.Load(), err)
		}
	}
	if calls.Load() != 5 {
		t.Errorf("%d requests for three calls with two broken connections", calls.Load())
	}
	idle := &conn{used: time.Now()}
	p := pool{dial: func(context.Context) (*tls.Conn, error) { return nil, nil }, idle: []*conn{idle}}
	if got, err := p.get(t.Context(), true); err != nil || got == idle || len(p.idle) != 1 {
		t.Errorf("a new connection costs an idle one: %d are left", len(p.idle))
	}
	_, broken := kme(t, func(*http.Request, int, int) string { calls.Add(1); return "" })
	calls.Store(0)
	if _, err := broken(time.Minute, false).EncKeys(t.Context(), "bob", KeyRequest{}); !qsc.IsKind(err, qsc.Unreachable) || calls.Load() != 1 {
		t.Errorf("%d requests, %v", calls.Load(), err)
	}
	fresh := client(time.Minute, true)
	before := conns.Load()
	for i := range int64(2) {
		if _, err := fresh.EncKeys(t.Context(), "bob", KeyRequest{}); err != nil || conns.Load() != before+1+i {
			t.Errorf("connection %d: %v", conns.Load(), err)
		}
	}
}

func TestCallersMayLeave(t *testing.T) {
	begun, leave := make(chan struct{}, 2), make(chan struct{})
	c, _ := kme(t, func(*http.Request, int, int) string { begun <- struct{}{}; <-leave; return "" })
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := c.Status(ctx, "bob"); !qsc.IsKind(err, qsc.Timeout) {
			t.Error(err)
		}
	})
	<-begun
	cancel()
	all.Wait()
	close(leave)
	if _, err := NewClient(ClientConfig{URL: "http://x"}); !qsc.IsKind(err, qsc.Invalid) {
		t.Error(err)
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 503 \r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, n, err := parseHead(b); err == nil && (a.status < 100 || a.status > 999 || n < -1) {
			t.Fatalf("%q: status %d, length %d", b, a.status, n)
		}
	})
}
