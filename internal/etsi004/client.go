package etsi004

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Client is one connection of an application to its KME. Calls are answered in
// order, one at a time; a second caller waits. A call whose context ends while it
// is under way breaks the connection, and a chunk that was on its way is lost:
// the KME has given it. What the caller does not yet hold of a stream it asks
// for again through a new Client.
type Client struct {
	conn net.Conn
	call chan struct{} // holds one token; who has it may use conn

	mu   sync.Mutex
	gone error // set once: no call is possible any more

	out  []byte
	in   [HeaderSize + openAnswer]byte
	meta []byte
}

// Dial connects and completes the handshake. cfg names the KME, its roots and
// the application's certificate. TLS 1.2 is the least; the channel is
// computational. Errors: Unreachable, Timeout.
func Dial(ctx context.Context, addr string, cfg *tls.Config) (*Client, error) {
	cfg = cfg.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.DynamicRecordSizingDisabled = true
	d := tls.Dialer{NetDialer: &net.Dialer{KeepAlive: 15 * time.Second}, Config: cfg}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, qsc.E("etsi004.Dial", kindOf(ctx), addr, "the KME cannot be reached: check its address and both certificates: %w", err)
	}
	return NewClient(conn), nil
}

func kindOf(ctx context.Context) qsc.Kind {
	if ctx.Err() != nil {
		return qsc.Timeout
	}
	return qsc.Unreachable
}

// NewClient speaks over conn, which becomes the client's.
func NewClient(conn net.Conn) *Client {
	return &Client{conn: conn, call: make(chan struct{}, 1)}
}

// Close ends the connection and any call. Streams stay open at the KME for as
// long as it keeps those of an application that is away.
func (c *Client) Close() error {
	c.giveUp(qsc.E("etsi004", qsc.Unreachable, "", "the client is closed"))
	return c.conn.Close()
}

func (c *Client) giveUp(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone == nil {
		c.gone = err
	}
}

// Broken returns why no call is possible any more, or nil.
func (c *Client) Broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// begin takes the connection for one call; end gives it back.
func (c *Client) begin(ctx context.Context) (end func(), err error) {
	select {
	case c.call <- struct{}{}:
	case <-ctx.Done():
		return nil, qsc.E("etsi004", qsc.Timeout, "", "%w", context.Cause(ctx))
	}
	if err := c.Broken(); err != nil {
		<-c.call
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		c.giveUp(qsc.E("etsi004", qsc.Unreachable, "", "an earlier call was given up: connect again"))
		_ = c.conn.SetDeadline(time.Unix(1, 0))
	})
	return func() { stop(); <-c.call }, nil
}

// broke notes that the connection is of no use any more and says why.
func (c *Client) broke(ctx context.Context, err error) error {
	e := qsc.E("etsi004", kindOf(ctx), "", "the connection to the KME is lost: %w", err)
	if qsc.KindOf(err) == qsc.Corrupt || qsc.KindOf(err) == qsc.Unsupported {
		e.Kind = qsc.KindOf(err)
	}
	c.giveUp(e)
	_ = c.conn.Close()
	return e
}

// Open calls OPEN_CONNECT. It returns when the peer has connected too, or with
// NoPeerYet. Errors wrap a *StatusError: with QoSNotMet the answer holds what
// the KME proposes. Errors of the connection: Timeout, Unreachable, Corrupt.
func (c *Client) Open(ctx context.Context, r OpenRequest) (OpenResponse, error) {
	end, err := c.begin(ctx)
	if err != nil {
		return OpenResponse{}, err
	}
	defer end()
	if c.out, err = AppendOpenRequest(c.out[:0], r); err != nil {
		return OpenResponse{}, err
	}
	b, err := c.exchange(OpenResponseType)
	if err != nil {
		return OpenResponse{}, c.broke(ctx, err)
	}
	o, err := ParseOpenResponse(b)
	if err != nil {
		return o, c.broke(ctx, qsc.E("etsi004.Open", qsc.Corrupt, "", "%w", err))
	}
	return o, asError("etsi004.Open", &StatusError{Status: o.Status})
}

// CloseStream calls CLOSE. Errors as Open.
func (c *Client) CloseStream(ctx context.Context, id KSID) error {
	end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	c.out = AppendCloseRequest(c.out[:0], id)
	b, err := c.exchange(CloseResponseType)
	if err != nil {
		return c.broke(ctx, err)
	}
	s, err := ParseCloseResponse(b)
	if err != nil {
		return c.broke(ctx, qsc.E("etsi004.CloseStream", qsc.Corrupt, "", "%w", err))
	}
	return asError("etsi004.CloseStream", &StatusError{Status: s})
}

func asError(op string, e *StatusError) error {
	if !failed(e.Status) {
		return nil
	}
	kind := qsc.Other
	if e.Status < statusCount {
		kind = statusKind[e.Status]
	}
	return qsc.E(op, kind, "", "%w", e)
}

// exchange sends c.out and reads a short answer.
func (c *Client) exchange(want Service) ([]byte, error) {
	if _, err := c.conn.Write(c.out); err != nil {
		return nil, err
	}
	n, err := c.header(want)
	if err != nil {
		return nil, err
	}
	if n > openAnswer {
		return nil, qsc.E("etsi004", qsc.Corrupt, "", "an answer of %d bytes, at most %d are due", n, openAnswer)
	}
	_, err = io.ReadFull(c.conn, c.in[:n])
	return c.in[:n], err
}

// header reads the header of an answer and returns the length of what follows.
func (c *Client) header(want Service) (int, error) {
	if _, err := io.ReadFull(c.conn, c.in[:HeaderSize]); err != nil {
		return 0, err
	}
	h, err := ParseHeader(c.in[:HeaderSize])
	if err != nil {
		return 0, err
	}
	if h.Service != want {
		return 0, qsc.E("etsi004", qsc.Corrupt, "", "an answer of type %#02x, %#02x is due", uint8(h.Service), uint8(want))
	}
	return int(min(h.Length, GetOverhead+MaxChunk+MaxMeta+1)), nil
}

// Get calls GET_KEY and reads the key into dst, which has the length of a chunk.
// On an error dst is wiped. Errors as Open; Timeout, too, where the KME's own
// time was up, which leaves the connection whole (see Broken).
func (c *Client) Get(ctx context.Context, g GetRequest, dst []byte) (Metadata, error) {
	end, err := c.begin(ctx)
	if err != nil {
		return Metadata{}, err
	}
	defer end()
	c.out = AppendGetRequest(c.out[:0], g)
	if _, err := c.conn.Write(c.out); err != nil {
		return Metadata{}, c.broke(ctx, err)
	}
	return c.receive(ctx, g.Index, dst)
}

// receive reads one answer to GET_KEY.
func (c *Client) receive(ctx context.Context, index uint32, dst []byte) (Metadata, error) {
	n, err := c.header(GetResponseType)
	if err != nil {
		return Metadata{}, c.broke(ctx, err)
	}
	refusal, err := c.keyHead(n, index, len(dst))
	if err != nil {
		return Metadata{}, c.broke(ctx, err)
	}
	if refusal != nil {
		return Metadata{}, asError("etsi004.Get", refusal)
	}
	if _, err = io.ReadFull(c.conn, dst); err == nil {
		err = c.metadata(n - getHead - len(dst))
	}
	var m Metadata
	if err == nil {
		m, err = ParseMetadata(c.meta)
	}
	if err != nil {
		clear(dst)
		return m, c.broke(ctx, err)
	}
	return m, nil
}

// keyHead reads what stands before the key in an answer of n bytes, or all of a
// refusal: a bare status, one with the room needed, or one with empty fields.
func (c *Client) keyHead(n int, index uint32, chunk int) (*StatusError, error) {
	head := c.in[:min(n, getHead+4)]
	if n < 4 {
		return nil, qsc.E("etsi004.Get", qsc.Corrupt, "", "an answer of %d bytes", n)
	}
	if _, err := io.ReadFull(c.conn, head[:4]); err != nil {
		return nil, err
	}
	status := Status(binary.BigEndian.Uint32(head))
	if status != OK && n <= getHead+4 {
		_, err := io.ReadFull(c.conn, head[4:])
		return refusalOf(status, head[4:], index), err
	}
	if n < getHead+4+chunk {
		return nil, qsc.E("etsi004.Get", qsc.Corrupt, "", "status %d in an answer of %d bytes, a chunk has %d", status, n, chunk)
	}
	if _, err := io.ReadFull(c.conn, head[4:getHead]); err != nil {
		return nil, err
	}
	got, size := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	if status != OK || got != index || uint64(size) != uint64(chunk) {
		return nil, qsc.E("etsi004.Get", qsc.Corrupt, "", "status %d, chunk %d of %d bytes came, chunk %d of %d is due", status, got, size, index, chunk)
	}
	return nil, nil
}

func refusalOf(s Status, rest []byte, index uint32) *StatusError {
	e := &StatusError{Status: s, Index: index}
	switch {
	case len(rest) < 4:
	case s == MetadataTooBig:
		e.Needed = binary.BigEndian.Uint32(rest)
	default:
		e.Index = binary.BigEndian.Uint32(rest)
	}
	return e
}

// metadata reads the last n bytes of an answer into c.meta.
func (c *Client) metadata(n int) error {
	if n < 4 || n > 4+MaxMeta {
		return qsc.E("etsi004.Get", qsc.Corrupt, "", "%d bytes behind the key", n)
	}
	if _, err := io.ReadFull(c.conn, c.in[:4]); err != nil {
		return err
	}
	if size := binary.BigEndian.Uint32(c.in[:4]); int64(size) != int64(n-4) {
		return qsc.E("etsi004.Get", qsc.Corrupt, "", "metadata of %d bytes where %d follow", size, n-4)
	}
	if cap(c.meta) < n-4 {
		c.meta = make([]byte, n-4)
	}
	c.meta = c.meta[:n-4]
	_, err := io.ReadFull(c.conn, c.meta)
	return err
}
