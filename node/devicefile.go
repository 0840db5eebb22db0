package node

import (
	"context"
	"crypto/rand"
	"net"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/device/record"
	"github.com/quantum-secure-cloud/qsc/quantum/device/timetag"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
)

// openRecord opens this end of a link whose key a vendor's process appends to a
// file.
func (n *Node) openRecord(e *linkEnd, d Device) (_ quantum.Link, err error) {
	c := record.Config{Link: e.link.ID, Block: e.link.Block, Path: d.File, Master: e.end == 0}
	if n.cfg.TLS.Cert != "" {
		if c.TLS, err = n.tls(); err != nil {
			return nil, err
		}
	}
	if c.FS, err = n.files(linkDir(e.link.ID, deviceDir)); err != nil {
		return nil, err
	}
	if !c.Master {
		c.Dial = d.Blocks
		return record.Open(c)
	}
	if c.Listen, err = listenFor(e.link.ID, d.Blocks); err != nil {
		return nil, err
	}
	return record.Open(c)
}

// The security parameters of key that is distilled of a time tagger's events.
const (
	taggerEpsSec = 1e-10
	taggerEpsCor = 1e-15
)

// openTimetag opens this end of a link whose key is distilled of the events that
// a time tagger writes at either end.
func (n *Node) openTimetag(e *linkEnd, d Device) (quantum.Link, error) {
	window, err := d.window()
	if err != nil {
		return nil, qsc.E("node.Open", qsc.Invalid, string(e.link.ID), "window: %w", err)
	}
	p, err := timetag.New(timetag.Config{
		Role: distill.Role(e.end), Dir: d.Events, Window: window, Wiring: timetag.Wiring(d.Wiring), Opposite: d.Opposite,
		Block: d.Sifted, Security: bbm92.Security{EpsSec: taggerEpsSec, EpsCor: taggerEpsCor}, Random: rand.Reader,
	})
	if err != nil {
		return nil, err
	}
	c := distill.Config{Protocol: p, Reconciler: cascade.New(cascade.Config{}), Kind: e.link.Kind, Device: "timetag", Class: p.Class() | qsc.OSRandom}
	return n.openDistillation(e, c, d.Channel)
}

// openDistillation completes a configuration and opens this end over the link's
// public channel.
func (n *Node) openDistillation(e *linkEnd, c distill.Config, channel string) (quantum.Link, error) {
	fs, err := n.files(linkDir(e.link.ID, distillDir))
	if err != nil {
		return nil, err
	}
	c.Link, c.Role, c.Block, c.FS = e.link.ID, distill.Role(e.end), e.link.Block, fs
	c.Room, c.Logger = max(e.link.Pad/4, 2*e.link.Block), n.log
	if c.Role == distill.Bob {
		var d net.Dialer
		c.Dial = func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", channel) }
	} else if c.Listen, err = listenFor(e.link.ID, channel); err != nil {
		return nil, err
	}
	return distill.Open(c)
}

// listenFor listens where the other end of a link calls.
func listenFor(link qsc.LinkID, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, qsc.E("node.Open", qsc.Busy, string(link), "cannot listen on %q for the other end: %w", addr, err)
	}
	return l, nil
}
