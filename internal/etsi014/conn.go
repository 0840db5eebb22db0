package etsi014

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A client keeps its own connections and reads answers itself: net/http's would
// hand every answer through two more goroutines, and keep key in buffers that
// nobody can wipe.

const (
	maxIdle    = 256              // connections kept
	idleTime   = 30 * time.Second // shorter than a server's patience
	maxHead    = 16 << 10         // bytes of an answer's header
	firstRead  = 4 << 10
	keptBuffer = 64 << 10
)

var errAnswer = errors.New("the KME's answer is not HTTP as it should be")

// conn is one connection and the buffer that answers are read into.
type conn struct {
	tls  *tls.Conn
	buf  []byte
	n    int // bytes of buf that hold the answer
	used time.Time
	new  bool
}

// answer is what came back; text is a view of the connection's buffer.
type answer struct {
	status int
	text   []byte
	after  string // Retry-After
	keep   bool   // the connection may be used again
}

// pool keeps idle connections, the last used first.
type pool struct {
	dial func(context.Context) (*tls.Conn, error)
	keep bool

	mu   sync.Mutex
	idle []*conn
}

func (p *pool) get(ctx context.Context, fresh bool) (*conn, error) {
	for !fresh {
		c := p.pop()
		if c == nil {
			break
		}
		if time.Since(c.used) < idleTime {
			return c, nil
		}
		_ = c.tls.Close()
	}
	t, err := p.dial(ctx)
	return &conn{tls: t, new: true}, err
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return c
}

// put wipes what was read and keeps the connection if it can.
func (p *pool) put(c *conn, keep bool) {
	clear(c.buf[:c.n])
	c.n = 0
	if keep && p.keep {
		if len(c.buf) > keptBuffer {
			c.buf = nil
		}
		c.new, c.used = false, time.Now()
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.idle) < maxIdle {
			p.idle = append(p.idle, c)
			return
		}
	}
	_ = c.tls.Close()
}

func (p *pool) close() {
	for c := p.pop(); c != nil; c = p.pop() {
		_ = c.tls.Close()
	}
}

// exchange sends a request and reads its answer.
func (c *conn) exchange(request []byte) (answer, error) {
	if _, err := c.tls.Write(request); err != nil {
		return answer{}, err
	}
	for {
		end, err := c.head()
		if err != nil {
			return answer{}, err
		}
		a, length, err := parseHead(c.buf[:end])
		switch {
		case err != nil:
			return a, err
		case a.status < 200: // 1xx: the answer comes behind it
			c.n = copy(c.buf, c.buf[end:c.n])
		case length < 0:
			return c.unsized()
		case length > maxResponse:
			return a, errAnswer
		default:
			if err := c.fill(end + length); err != nil {
				return a, err
			}
			a.text = c.buf[end : end+length]
			a.keep = a.keep && c.n == end+length
			return a, nil
		}
	}
}

// head reads until the header is there and returns its length.
func (c *conn) head() (int, error) {
	for {
		if at := bytes.Index(c.buf[:c.n], []byte("\r\n\r\n")); at >= 0 {
			return at + 4, nil
		}
		if c.n > maxHead {
			return 0, errAnswer
		}
		if err := c.fill(c.n + 1); err != nil {
			return 0, err
		}
	}
}

// fill reads until need bytes are there. A buffer that grows is wiped.
func (c *conn) fill(need int) error {
	if need > len(c.buf) {
		larger := make([]byte, max(need, 2*len(c.buf), firstRead))
		copy(larger, c.buf[:c.n])
		clear(c.buf)
		c.buf = larger
	}
	for c.n < need {
		n, err := c.tls.Read(c.buf[c.n:])
		c.n += n
		if err != nil && c.n < need {
			if err == io.EOF && c.n > 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// parseHead reads status line and header fields. The length is -1 where the answer
// does not tell it.
func parseHead(head []byte) (a answer, length int, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return a, 0, errAnswer
	}
	a.status, err = strconv.Atoi(string(line[9:12]))
	if err != nil || a.status < 100 {
		return a, 0, errAnswer
	}
	a.keep, length = line[7] == '1', -1
	for len(rest) > 2 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return a, 0, errAnswer
		}
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || length >= 0 && int(n) != length {
				return a, 0, errAnswer
			}
			length = int(n)
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return a, -1, nil
		case bytes.EqualFold(name, []byte("Connection")):
			a.keep = a.keep && !bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("Retry-After")):
			a.after = string(value)
		}
	}
	return a, length, nil
}

// unsized reads an answer of unknown length, chunked or until the end, with
// net/http; the connection is not used again.
func (c *conn) unsized() (answer, error) {
	got := bytes.Clone(c.buf[:c.n])
	defer clear(got)
	limited := io.LimitReader(io.MultiReader(bytes.NewReader(got), c.tls), maxHead+2*maxResponse)
	resp, err := http.ReadResponse(bufio.NewReader(limited), nil)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	clear(c.buf[:c.n])
	c.buf, err = io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	c.n = len(c.buf)
	if err == nil && c.n > maxResponse {
		err = errAnswer
	}
	return answer{status: resp.StatusCode, text: c.buf, after: resp.Header.Get("Retry-After")}, err
}
