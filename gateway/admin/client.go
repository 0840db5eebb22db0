package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Client speaks to the node of one directory.
type Client struct {
	dir  string
	http http.Client
}

const (
	streamBuffer  = 1 << 20
	expectTimeout = 10 * time.Second // then a body is sent though the node did not ask for it
)

// NewClient returns a client for the node of a directory. It connects when it is
// first used.
func NewClient(dir string) *Client {
	return &Client{dir: dir, http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			path, err := SocketPath(dir)
			if err != nil {
				return nil, err
			}
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
		WriteBufferSize: streamBuffer, ReadBufferSize: streamBuffer, DisableCompression: true,
		ExpectContinueTimeout: expectTimeout,
	}}}
}

// PutOptions steer Client.Put.
type PutOptions struct {
	Policy  string
	Size    int64 // -1 when not known
	Replace bool
}

// Put stores what r yields under a name. Errors carry the vault's Kinds;
// Unreachable means that no node runs on the directory.
func (c *Client) Put(ctx context.Context, name string, r io.Reader, opt PutOptions) (Report, error) {
	q := url.Values{"name": {name}, "policy": {opt.Policy}, "replace": {strconv.FormatBool(opt.Replace)}, "size": {strconv.FormatInt(opt.Size, 10)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://node/v1/objects?"+q.Encode(), io.NopCloser(r))
	if err != nil {
		return Report{}, err
	}
	req.ContentLength = opt.Size
	if opt.Size == 0 {
		req.Body = http.NoBody
	} else {
		// A node that refuses says why before anything is sent, and has not hung up
		// by the time we read it.
		req.Header.Set("Expect", "100-continue")
	}
	var rep Report
	return rep, c.do(req, &rep)
}

// Get writes length bytes of an object from offset on to w; a negative length
// means to the end. Bytes that reach w are verified, and the object is whole
// only if the error is nil.
func (c *Client) Get(ctx context.Context, name string, w io.Writer, offset, length int64) (Report, error) {
	q := url.Values{"name": {name}, "offset": {strconv.FormatInt(offset, 10)}, "length": {strconv.FormatInt(length, 10)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node/v1/objects/content?"+q.Encode(), nil)
	if err != nil {
		return Report{}, err
	}
	resp, err := c.send(req)
	if err != nil {
		return Report{}, err
	}
	defer resp.Body.Close()
	buf := make([]byte, streamBuffer)
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, resp.Body, buf); err != nil {
		return Report{}, ioError(ctx, err)
	}
	return endOfContent(resp)
}

// endOfContent reads the trailers, which tell how a stream ended.
func endOfContent(resp *http.Response) (Report, error) {
	var rep Report
	if t := resp.Trailer.Get(trailerReport); t != "" {
		if err := json.Unmarshal([]byte(t), &rep); err != nil {
			return rep, qsc.E("admin.Get", qsc.Corrupt, "", "malformed report: %w", err)
		}
	}
	if t := resp.Trailer.Get(trailerError); t != "" {
		var b ErrorBody
		if err := json.Unmarshal([]byte(t), &b); err != nil {
			return rep, qsc.E("admin.Get", qsc.Corrupt, "", "malformed error: %w", err)
		}
		return rep, b.err()
	}
	if resp.Trailer.Get(trailerReport) == "" {
		return rep, qsc.E("admin.Get", qsc.Unreachable, "", "the node went away before the end of the object")
	}
	return rep, nil
}

// Stat describes an object.
func (c *Client) Stat(ctx context.Context, name string) (Object, error) {
	var o Object
	return o, c.ask(ctx, http.MethodGet, "/v1/objects/stat", url.Values{"name": {name}}, &o)
}

// List returns one page of objects whose names begin with prefix and lie behind
// after.
func (c *Client) List(ctx context.Context, prefix, after string, limit int) (List, error) {
	var l List
	return l, c.ask(ctx, http.MethodGet, "/v1/objects", url.Values{"prefix": {prefix}, "after": {after}, "limit": {strconv.Itoa(limit)}}, &l)
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, name string) error {
	return c.ask(ctx, http.MethodDelete, "/v1/objects", url.Values{"name": {name}}, nil)
}

// Status asks the node for its state.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.ask(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Rebuild makes the node's catalogue anew and returns how many objects it found.
func (c *Client) Rebuild(ctx context.Context) (int, error) {
	var n struct {
		Objects int `json:"objects"`
	}
	return n.Objects, c.ask(ctx, http.MethodPost, "/v1/catalog/rebuild", nil, &n)
}

func (c *Client) ask(ctx context.Context, method, path string, q url.Values, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	req.Close = true // most clients ask once
	return c.do(req, answer)
}

func (c *Client) do(req *http.Request, answer any) error {
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return ioError(req.Context(), err)
	}
	return nil
}

const maxErrorBody = 1 << 20

func (c *Client) send(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.absent(req.Context(), err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var b ErrorBody
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxErrorBody)).Decode(&b); err != nil {
		return nil, qsc.E("admin", qsc.Corrupt, "", "the node answers %s without a reason", resp.Status)
	}
	return nil, b.err()
}

// absent tells a node that does not run from other failures.
func (c *Client) absent(ctx context.Context, err error) error {
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return qsc.E("admin", qsc.Unreachable, "", "no node is running on %s: start it (qsc up)", c.dir)
	}
	var e *qsc.Error
	if errors.As(err, &e) {
		return e // the body's reader has failed
	}
	if errors.Is(err, syscall.EPIPE) {
		err = errors.New(err.Error()) // the node's, not that of a pipe the user has closed
	}
	return ioError(ctx, err)
}

func ioError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return qsc.E("admin", qsc.Timeout, "", "given up: %w", context.Cause(ctx))
	}
	if errors.Is(err, syscall.ENOSPC) {
		return qsc.E("admin", qsc.NoSpace, "", "%w", err)
	}
	return qsc.E("admin", qsc.Unreachable, "", "the node went away: %w", err)
}
