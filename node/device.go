package node

import (
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014"
	"github.com/quantum-secure-cloud/qsc/quantum"
	device004 "github.com/quantum-secure-cloud/qsc/quantum/device/etsi004"
	device014 "github.com/quantum-secure-cloud/qsc/quantum/device/etsi014"
)

// Device is a vendor's key source as this end of a link of kind "device":
//
//	[device.koganei-otemachi]
//	protocol = "etsi014"             # or "etsi004"
//	kme  = "https://192.0.2.7:443"   # this end's; "192.0.2.7:25575" for etsi004
//	sae  = "node-koganei"            # who we are at this KME
//	peer = "node-otemachi"           # who the other end is
//	cert = "vendor/sae.pem"
//	key  = "vendor/sae.key"
//	ca   = "vendor/ca.pem"
//	blocks = "10.0.0.1:7920"         # etsi014: end A listens there for the lists of what makes a block, end B calls
//	stream = "…"                     # etsi004: a UUID, the same at both ends, another for each provisioning
//	since  = 2026-11-22T00:00:00Z    # etsi004: when the link was provisioned, the same at both ends
//
// A vendor's file of records {UUID, key}, which grows, and the event files of a
// time tagger, of which key is distilled here, need less:
//
//	[device.koganei-otemachi]
//	protocol = "record"
//	file   = "vendor/keys.bin"
//	blocks = "10.0.0.1:7920"         # as for etsi014; under [tls] where the node has it
//
//	[device.koganei-otemachi]
//	protocol = "timetag"
//	events  = "tagger"               # the directory that the tagger writes to
//	channel = "10.0.0.1:7921"        # the public channel: the link's first end listens there, the second calls
//	sifted  = 1000000                # bits of the key basis that make a block
//	window  = "2ns"                  # within which two clicks are of a pair; default 2ns
//	wiring  = "…"                    # which detector is which; see docs/design/devices.md
//	opposite = [true, true]          # the values of a pair differ in the key basis, in the test basis
type Device struct {
	Protocol string    `toml:"protocol"`
	KME      string    `toml:"kme,omitempty"`
	SAE      string    `toml:"sae,omitempty"`
	Peer     string    `toml:"peer,omitempty"`
	Cert     string    `toml:"cert,omitempty"`
	Key      string    `toml:"key,omitempty"`
	CA       string    `toml:"ca,omitempty"`
	Blocks   string    `toml:"blocks,omitempty"`
	Stream   string    `toml:"stream,omitempty"`
	Since    time.Time `toml:"since,omitempty"`

	File     string  `toml:"file,omitempty"`
	Events   string  `toml:"events,omitempty"`
	Channel  string  `toml:"channel,omitempty"`
	Sifted   int     `toml:"sifted,omitempty"`
	Window   string  `toml:"window,omitempty"`
	Wiring   string  `toml:"wiring,omitempty"`
	Opposite [2]bool `toml:"opposite,omitempty"`
}

// check lists what is missing.
func (d Device) check(link string, bad func(format string, args ...any)) {
	need := func(all map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if all[name] == "" {
				bad("device.%s: the key %q is missing", link, name)
			}
		}
	}
	address := func(name, v string) {
		if _, _, err := net.SplitHostPort(v); err != nil {
			bad("device.%s: %s: %q is no host:port", link, name, v)
		}
	}
	vendor := map[string]string{"kme": d.KME, "sae": d.SAE, "peer": d.Peer, "cert": d.Cert, "key": d.Key, "ca": d.CA}
	switch d.Protocol {
	case "record":
		need(map[string]string{"file": d.File})
		address("blocks", d.Blocks)
	case "timetag":
		need(map[string]string{"events": d.Events})
		address("channel", d.Channel)
		if _, err := d.window(); err != nil || d.Sifted < 1 {
			bad(`device.%s: timetag needs sifted, bits above 0, and a window such as "2ns"`, link)
		}
	case "etsi014":
		need(vendor)
		address("blocks", d.Blocks)
	case "etsi004":
		need(vendor)
		if _, err := uuid.Parse(d.Stream); err != nil || d.Since.IsZero() {
			bad("device.%s: etsi004 needs stream, a UUID, and since, a date, the same at both ends", link)
		}
	default:
		bad(`device.%s: protocol %q is none of "etsi014", "etsi004", "record" and "timetag"`, link, d.Protocol)
	}
}

// window is how near two clicks of a pair are; 0: the driver's default.
func (d Device) window() (time.Duration, error) {
	if d.Window == "" {
		return 0, nil
	}
	return time.ParseDuration(d.Window)
}

// openDevice opens this end of a vendor's link.
func (n *Node) openDevice(e *linkEnd) (quantum.Link, error) {
	d, ok := n.cfg.Device[string(e.link.ID)]
	if !ok {
		return nil, qsc.E("node.Open", qsc.NotFound, string(e.link.ID), "no key source: describe it in the node's file under [device.%s]", e.link.ID)
	}
	switch d.Protocol {
	case "record":
		return n.openRecord(e, d)
	case "timetag":
		return n.openTimetag(e, d)
	}
	conf, err := enrol.LoadTLS(d.Cert, d.Key, d.CA)
	if err != nil {
		return nil, qsc.E("node.Open", qsc.KindOf(err), string(e.link.ID), "the certificate for the vendor's KME: %w", err)
	}
	if d.Protocol == "etsi004" {
		return n.openDevice004(e, d, conf)
	}
	return n.openDevice014(e, d, conf)
}

func (n *Node) openDevice004(e *linkEnd, d Device, conf *tls.Config) (quantum.Link, error) {
	id, err := uuid.Parse(d.Stream)
	if err != nil {
		return nil, qsc.E("node.Open", qsc.Invalid, string(e.link.ID), "stream: %w", err)
	}
	return device004.Open(device004.Config{
		Link: e.link.ID, Block: e.link.Block, Since: d.Since, Addr: d.KME, TLS: conf,
		Source: d.SAE, Destination: d.Peer, Stream: id, Rate: e.link.Rate,
	})
}

func (n *Node) openDevice014(e *linkEnd, d Device, conf *tls.Config) (_ quantum.Link, err error) {
	client, err := etsi014.NewClient(etsi014.ClientConfig{URL: d.KME, TLS: conf})
	if err != nil {
		return nil, err
	}
	n.closer = append(n.closer, func() error { client.Close(); return nil })
	c := device014.Config{Link: e.link.ID, Block: e.link.Block, KME: client, Peer: d.Peer, Master: e.end == 0}
	if n.cfg.TLS.Cert != "" {
		if c.TLS, err = n.tls(); err != nil {
			return nil, err
		}
	}
	if !c.Master {
		c.Dial = d.Blocks
		return device014.Open(c)
	}
	if c.FS, err = n.files(linkDir(e.link.ID, deviceDir)); err != nil {
		return nil, err
	}
	if c.Listen, err = listenFor(e.link.ID, d.Blocks); err != nil {
		return nil, err
	}
	return device014.Open(c)
}
