package vici

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"

	"github.com/quantum-secure-cloud/qsc"
)

// Socket is where the daemon listens unless its configuration says otherwise.
const Socket = "/var/run/charon.vici"

// The packets, as numbered on the wire.
const (
	cmdRequest = iota
	cmdResponse
	cmdUnknown
	eventRegister
	eventUnregister
	eventConfirm
	eventUnknown
	event
)

// maxEvents bounds what one command may stream.
const maxEvents = 100_000

// Client is one connection to the daemon, for one caller at a time.
type Client struct{ c net.Conn }

// Dial connects to the daemon's socket. Errors: NotFound, Denied, Unreachable.
func Dial(ctx context.Context, socket string) (*Client, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err == nil {
		return &Client{c}, nil
	}
	kind, hint := qsc.Unreachable, "is strongSwan's charon running?"
	switch {
	case errors.Is(err, os.ErrNotExist):
		kind, hint = qsc.NotFound, "start charon, or name the socket that its vici plugin opens"
	case errors.Is(err, os.ErrPermission):
		kind, hint = qsc.Denied, "run qsc as a user who may open it"
	}
	return nil, qsc.E("vici.Dial", kind, "", "cannot open %s: %s (%w)", socket, hint, err)
}

// Close ends the connection.
func (c *Client) Close() error { return c.c.Close() }

// Call sends a command and returns its answer. The bytes that msg became are
// wiped. Errors: Other with the daemon's own words when it answers success=no,
// Unsupported for a command it does not know, Corrupt, Unreachable, Timeout.
func (c *Client) Call(ctx context.Context, cmd string, msg *Section) (*Section, error) {
	return c.call(ctx, cmd, "", msg, nil)
}

// Stream is Call for a command that streams events of one name, each of which
// take is given.
func (c *Client) Stream(ctx context.Context, cmd, name string, msg *Section, take func(*Section)) (*Section, error) {
	if err := c.register(ctx, eventRegister, name); err != nil {
		return nil, err
	}
	answer, err := c.call(ctx, cmd, name, msg, take)
	if err != nil {
		return nil, err
	}
	return answer, c.register(ctx, eventUnregister, name)
}

func (c *Client) register(ctx context.Context, kind byte, name string) error {
	stop := context.AfterFunc(ctx, func() { _ = c.c.Close() })
	defer stop()
	if err := c.send(kind, name, &Section{}); err != nil {
		return c.gone(ctx, err)
	}
	for range maxEvents {
		got, _, _, err := c.read()
		switch {
		case err != nil:
			return c.gone(ctx, err)
		case got == eventConfirm:
			return nil
		case got == eventUnknown:
			return qsc.E("vici.Stream", qsc.Unsupported, "", "the daemon knows no event %q", name)
		}
	}
	return broken("events without end")
}

func (c *Client) call(ctx context.Context, cmd, name string, msg *Section, take func(*Section)) (*Section, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.c.Close() })
	defer stop()
	if err := c.send(cmdRequest, cmd, msg); err != nil {
		return nil, c.gone(ctx, err)
	}
	for range maxEvents {
		kind, of, body, err := c.read()
		if err != nil {
			return nil, c.gone(ctx, err)
		}
		switch kind {
		case cmdUnknown:
			return nil, qsc.E("vici.Call", qsc.Unsupported, "", "the daemon does not know %q; strongSwan 5.7 or later is needed", cmd)
		case cmdResponse:
			return body, refused(cmd, body)
		case event:
			if of == name && take != nil {
				take(body)
			}
		}
	}
	return nil, broken("events without end")
}

func refused(cmd string, answer *Section) error {
	if answer.Get("success") != "no" {
		return nil
	}
	why := answer.Get("errmsg")
	if len(why) > 300 {
		why = why[:300]
	}
	return qsc.E("vici.Call", qsc.Other, "", "strongSwan refuses %s: %q; its log says more", cmd, why)
}

// gone tells a caller who left from a daemon that went. Of errors that have a
// kind already it changes nothing.
func (c *Client) gone(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return qsc.E("vici.Call", qsc.Timeout, "", "strongSwan did not answer in time")
	case qsc.KindOf(err) != qsc.Other:
		return err
	}
	return qsc.E("vici.Call", qsc.Unreachable, "", "strongSwan closed its control socket: %w", err)
}

// send writes one packet: length, type, name, message.
func (c *Client) send(kind byte, name string, msg *Section) error {
	if len(name) > maxName {
		return qsc.E("vici.Send", qsc.Invalid, "", "a command of %d bytes", len(name))
	}
	n := 2 + len(name) + msg.size()
	if n > MaxPacket {
		return qsc.E("vici.Send", qsc.Invalid, "", "a message of %d bytes; %d is the most", n, MaxPacket)
	}
	b := make([]byte, 0, 4+n)
	defer func() { clear(b[:cap(b)]) }()
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	b = appendName(append(b, kind), name)
	full, err := msg.encode(b)
	if err != nil {
		return err
	}
	_, err = c.c.Write(full)
	return err
}

// read returns the next packet.
func (c *Client) read() (kind byte, name string, body *Section, err error) {
	var head [4]byte
	if _, err := io.ReadFull(c.c, head[:]); err != nil {
		return 0, "", nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > MaxPacket {
		return 0, "", nil, broken("a packet of impossible length")
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.c, b); err != nil {
		return 0, "", nil, err
	}
	return parse(b)
}

// parse takes a packet without its length apart.
func parse(b []byte) (kind byte, name string, body *Section, err error) {
	if len(b) == 0 {
		return 0, "", nil, broken("an empty packet")
	}
	d := decoder{b[1:]}
	if b[0] == event {
		n, err := d.take(1)
		if err != nil {
			return 0, "", nil, err
		}
		name = string(n)
	}
	body, err = Decode(d.b)
	return b[0], name, body, err
}
