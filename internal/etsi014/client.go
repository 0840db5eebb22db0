package etsi014

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

const (
	apiPath     = "/api/v1/keys/"
	maxResponse = 4 << 20
	callTime    = 30 * time.Second
)

// ClientConfig describes how an SAE reaches its KME.
type ClientConfig struct {
	URL string // "https://host:port"
	// TLS holds the SAE's certificate and the roots that the KME's is checked
	// against. It is cloned; versions below 1.2 are refused, and sessions are
	// resumed.
	TLS *tls.Config
	// NewConnections opens a connection for each call, as curl does.
	NewConnections bool
	Timeout        time.Duration // of one call; 0: 30 s
}

// Client calls one KME as one SAE. It may be used by several goroutines.
type Client struct {
	base      url.URL
	cfg       ClientConfig
	transport *http.Transport
}

// NewClient checks the configuration; it does not connect. Error: Invalid.
func NewClient(cfg ClientConfig) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, qsc.E("etsi014.NewClient", qsc.Invalid, cfg.URL, "give the KME's address as https://host:port")
	}
	if cfg.TLS == nil {
		return nil, qsc.E("etsi014.NewClient", qsc.Invalid, cfg.URL, "give the SAE's certificate: a KME knows its callers by it")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = callTime
	}
	t := cfg.TLS.Clone()
	t.MinVersion = max(t.MinVersion, tls.VersionTLS12)
	if t.ClientSessionCache == nil {
		t.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return &Client{base: url.URL{Scheme: u.Scheme, Host: u.Host}, cfg: cfg, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
		TLSClientConfig:     t,
		TLSHandshakeTimeout: cfg.Timeout,
		DisableKeepAlives:   cfg.NewConnections,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     time.Minute,
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1
	}}, nil
}

// Close closes the idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Refusal is what a KME answered in place of keys. It is in the chain of the
// errors of Client.
type Refusal struct {
	Status     int // HTTP
	Message    string
	RetryAfter time.Duration // 0: not said
}

// Error gives status and message.
func (r *Refusal) Error() string {
	if r.Message == "" {
		return fmt.Sprintf("the KME answers %d", r.Status)
	}
	return fmt.Sprintf("the KME answers %d: %q", r.Status, r.Message)
}

// kind maps a refusal as the field uses the codes.
func (r *Refusal) kind() qsc.Kind {
	switch {
	case r.Status == 400 && strings.Contains(r.Message, "not found on KME"), r.Status == 404:
		return qsc.NotFound
	case r.Status == 400 && strings.Contains(r.Message, "extension_"):
		return qsc.Unsupported
	case r.Status == 401, r.Status == 403:
		return qsc.Denied
	case r.Status == 503, r.Status == 429:
		return qsc.Exhausted
	case r.Status >= 400 && r.Status < 500:
		return qsc.Invalid
	}
	return qsc.Unreachable
}

// Status asks for the state of the stock shared with slave (Get status).
//
// Errors of the three methods: Denied, Invalid, Unsupported (an extension),
// NotFound (a key), Exhausted (a Refusal in the chain says when to ask again),
// Unreachable, Timeout, Corrupt (an answer that cannot be used).
func (c *Client) Status(ctx context.Context, slave string) (st *Status, err error) {
	err = c.call(ctx, "etsi014.Status", slave, "status", "", nil, func(b []byte) (err error) {
		st, err = DecodeStatus(b)
		return err
	})
	return st, err
}

// EncKeys takes new keys as the master (Get key).
func (c *Client) EncKeys(ctx context.Context, slave string, r KeyRequest) (*Container, error) {
	var query string
	var post []byte
	switch {
	case !r.plain():
		post = r.Append(nil)
	case r.Number != 0 && r.Size != 0:
		query = "number=" + strconv.Itoa(r.Number) + "&size=" + strconv.FormatInt(r.Size, 10)
	case r.Number != 0:
		query = "number=" + strconv.Itoa(r.Number)
	case r.Size != 0:
		query = "size=" + strconv.FormatInt(r.Size, 10)
	}
	return c.keys(ctx, "etsi014.EncKeys", slave, "enc_keys", query, post)
}

// DecKeys takes the slave's copies of keys issued to master, in the order of ids
// (Get key with key IDs).
func (c *Client) DecKeys(ctx context.Context, master string, ids ...qsc.KeyID) (*Container, error) {
	var query string
	var post []byte
	if len(ids) == 1 {
		query = "key_ID=" + ids[0].String()
	} else {
		post = AppendKeyIDs(make([]byte, 0, 16+len(ids)*(idLen+16)), ids)
	}
	k, err := c.keys(ctx, "etsi014.DecKeys", master, "dec_keys", query, post)
	if err != nil {
		return nil, err
	}
	if err := k.arrange(ids); err != nil {
		k.Bytes.Zeroise()
		return nil, qsc.E("etsi014.DecKeys", qsc.Corrupt, c.base.Host, "%w", err)
	}
	return k, nil
}

// arrange puts the keys into the order in which they were asked for.
func (c *Container) arrange(ids []qsc.KeyID) error {
	if slices.Equal(c.IDs, ids) {
		return nil
	}
	at := make(map[qsc.KeyID]int, len(ids))
	for i, id := range c.IDs {
		at[id] = i
	}
	raw := c.Bytes.Expose()
	out := make([]byte, 0, len(raw))
	for _, id := range ids {
		i, ok := at[id]
		if !ok || len(ids) != len(c.IDs) {
			clear(out)
			return errors.New("the KME answers with other keys than those asked for")
		}
		out = append(out, raw[i*c.Size:(i+1)*c.Size]...)
	}
	c.Bytes.Zeroise()
	c.IDs, c.Bytes = append(c.IDs[:0], ids...), qsc.NewSecret(out)
	return nil
}

func (c *Client) keys(ctx context.Context, op, sae, method, query string, post []byte) (k *Container, err error) {
	err = c.call(ctx, op, sae, method, query, post, func(b []byte) (err error) {
		k, err = DecodeContainer(b, MaxKeys)
		return err
	})
	return k, err
}

var jsonHeader = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"qsc"}}

// buffers hold answers; they are wiped before they come back.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// call makes one request and hands the text of a 200 to use, which keeps nothing
// of it.
func (c *Client) call(ctx context.Context, op, sae, method, query string, post []byte, use func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	resp, err := c.transport.RoundTrip(c.request(ctx, sae, method, query, post))
	if err != nil {
		return c.failed(ctx, op, err)
	}
	defer resp.Body.Close()
	buf := buffers.Get().(*bytes.Buffer)
	defer giveBack(buf)
	if n := resp.ContentLength; n > 0 && n < maxResponse {
		buf.Grow(int(n) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return c.failed(ctx, op, err)
	case n > maxResponse:
		return qsc.E(op, qsc.Corrupt, c.base.Host, "the KME's answer is longer than %d bytes", maxResponse)
	case resp.StatusCode != http.StatusOK:
		return c.refused(op, resp, buf.Bytes())
	}
	return use(buf.Bytes())
}

func giveBack(buf *bytes.Buffer) {
	buf.Reset()
	clear(buf.AvailableBuffer()[:buf.Available()])
	if buf.Available() <= 1<<20 {
		buffers.Put(buf)
	}
}

// request builds the request itself: parsing a URL for every call would cost as
// much as sending it.
func (c *Client) request(ctx context.Context, sae, method, query string, post []byte) *http.Request {
	u := c.base
	u.Path = apiPath + sae + "/" + method
	u.RawPath = apiPath + url.PathEscape(sae) + "/" + method
	u.RawQuery = query
	r := &http.Request{Method: http.MethodGet, URL: &u, Host: u.Host, Header: jsonHeader, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if post != nil {
		r.Method, r.ContentLength, r.Body = http.MethodPost, int64(len(post)), io.NopCloser(bytes.NewReader(post))
	}
	return r.WithContext(ctx)
}

func (c *Client) failed(ctx context.Context, op string, err error) error {
	kind := qsc.Unreachable
	var n net.Error
	if ctx.Err() != nil || errors.As(err, &n) && n.Timeout() {
		kind = qsc.Timeout
	}
	return qsc.E(op, kind, c.base.Host, "%w", err)
}

func (c *Client) refused(op string, resp *http.Response, text []byte) error {
	r := &Refusal{Status: resp.StatusCode, Message: errorMessage(text)}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 && s <= 86400 {
		r.RetryAfter = time.Duration(s) * time.Second
	}
	return qsc.E(op, r.kind(), c.base.Host, "%w", r)
}
