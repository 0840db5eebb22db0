package etsi014

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
	host string // as the Host field of a request names it
	cfg  ClientConfig
	pool pool
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
	if t.ServerName == "" {
		t.ServerName = u.Hostname()
	}
	t.NextProtos = []string{"http/1.1"}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "443")
	}
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: cfg.Timeout}, Config: t} // the time includes the handshake
	return &Client{host: u.Host, cfg: cfg, pool: pool{keep: !cfg.NewConnections, dial: func(ctx context.Context) (*tls.Conn, error) {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return c.(*tls.Conn), nil
	}}}, nil
}

// Close closes the idle connections.
func (c *Client) Close() { c.pool.close() }

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
		return nil, qsc.E("etsi014.DecKeys", qsc.Corrupt, c.host, "%w", err)
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

// call makes one request and hands the text of a 200 to use, which keeps nothing
// of it. A connection that was kept and turns out to be closed is replaced by a
// new one, once: had the KME acted on the request, its answer would be lost anyway.
func (c *Client) call(ctx context.Context, op, sae, method, query string, post []byte, use func([]byte) error) error {
	end := time.Now().Add(c.cfg.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	request := c.request(sae, method, query, post)
	again, err := c.try(ctx, op, end, false, request, use)
	if again {
		_, err = c.try(ctx, op, end, true, request, use)
	}
	return err
}

// try makes the request over one connection. again: it was stale.
func (c *Client) try(ctx context.Context, op string, end time.Time, fresh bool, request []byte, use func([]byte) error) (again bool, err error) {
	x, err := c.pool.get(ctx, fresh)
	if err != nil {
		return false, c.failed(ctx, op, err)
	}
	keep := false
	defer func() { c.pool.put(x, keep) }()
	_ = x.tls.SetDeadline(end)
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { _ = x.tls.SetDeadline(time.Unix(1, 0)) })
		defer func() { keep = stop() && keep }()
	}
	a, err := x.exchange(request)
	switch {
	case err != nil && x.n == 0 && !x.new && ctx.Err() == nil && !timedOut(err):
		return true, nil
	case errors.Is(err, errAnswer):
		return false, qsc.E(op, qsc.Corrupt, c.host, "%w", err)
	case err != nil:
		return false, c.failed(ctx, op, err)
	}
	keep = a.keep
	if a.status != 200 {
		return false, c.refused(op, a)
	}
	return false, use(a.text)
}

// request writes the whole request.
func (c *Client) request(sae, method, query string, post []byte) []byte {
	b := make([]byte, 0, 256+len(sae)+len(query)+len(post))
	if post == nil {
		b = append(b, "GET "...)
	} else {
		b = append(b, "POST "...)
	}
	b = append(append(append(append(b, apiPath...), url.PathEscape(sae)...), '/'), method...)
	if query != "" {
		b = append(append(b, '?'), query...)
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), c.host...)
	b = append(b, "\r\nUser-Agent: qsc\r\nAccept: application/json\r\n"...)
	if !c.pool.keep {
		b = append(b, "Connection: close\r\n"...)
	}
	if post != nil {
		b = append(b, "Content-Type: application/json\r\nContent-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(post)), 10), "\r\n"...)
	}
	return append(append(b, "\r\n"...), post...)
}

func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func (c *Client) failed(ctx context.Context, op string, err error) error {
	kind := qsc.Unreachable
	if ctx.Err() != nil || timedOut(err) {
		kind = qsc.Timeout
	}
	return qsc.E(op, kind, c.host, "%w", err)
}

func (c *Client) refused(op string, a answer) error {
	r := &Refusal{Status: a.status, Message: errorMessage(a.text)}
	if s, err := strconv.Atoi(a.after); err == nil && s > 0 && s <= 86400 {
		r.RetryAfter = time.Duration(s) * time.Second
	}
	return qsc.E(op, r.kind(), c.host, "%w", r)
}
