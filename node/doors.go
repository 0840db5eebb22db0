package node

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"slices"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi004"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/gateway/skip"
)

func isURL(s string) bool { return strings.Contains(s, "://") }

// tls reads the node's certificate and the CA it trusts.
func (n *Node) tls() (*tls.Config, error) {
	c, err := enrol.LoadTLS(n.cfg.TLS.Cert, n.cfg.TLS.Key, n.cfg.TLS.CA)
	if err != nil {
		return nil, qsc.E("node.Open", qsc.KindOf(err), string(n.cfg.Node), "the node's certificate: %w", err)
	}
	return c, nil
}

// openKME opens the doors through which applications draw key.
func (n *Node) openKME() error {
	k := n.cfg.KME
	if k.ETSI014 == "" && k.ETSI004 == "" && k.SKIP == "" {
		return nil
	}
	cfg, err := n.tls()
	if err != nil {
		return err
	}
	door := sae.Config{Certificate: cfg.Certificates[0], ClientCAs: cfg.ClientCAs, Logger: n.log}
	for _, d := range []struct {
		name, addr string
		open       func(net.Listener) (interface{ Close() error }, error)
	}{
		{"etsi014", k.ETSI014, func(l net.Listener) (interface{ Close() error }, error) {
			return etsi014.Serve(l, etsi014.Config{Node: n.cfg.Node, Supply: n.supply, Directory: n.saes, Door: door, Identity: n.identity()})
		}},
		{"etsi004", k.ETSI004, func(l net.Listener) (interface{ Close() error }, error) {
			return etsi004.Serve(l, etsi004.Config{Supply: n.supply, TLS: cfg, Names: n.names, Logger: n.log})
		}},
		{"skip", k.SKIP, func(l net.Listener) (interface{ Close() error }, error) {
			return skip.Serve(l, skip.Config{Node: n.cfg.Node, Supply: n.supply, Directory: n.saes, Door: door, Identity: n.identity()})
		}},
	} {
		if d.addr == "" {
			continue
		}
		if err := n.openDoor(d.name, d.addr, d.open); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openDoor(name, addr string, open func(net.Listener) (interface{ Close() error }, error)) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return qsc.E("node.Open", qsc.Busy, string(n.cfg.Node), "%s cannot listen on %q: %w", name, addr, err)
	}
	s, err := open(l)
	if err != nil {
		_ = l.Close()
		return err
	}
	n.closer = append(n.closer, s.Close)
	return nil
}

// identity is where a certificate names its SAE. Whichever way, a pinned SAE is
// nobody with another certificate.
func (n *Node) identity() sae.Identity {
	name := map[string]sae.Identity{"uri": sae.URI, "dns": sae.DNS, "fingerprint": sae.Pinned(n.saes.Pinned)}[n.cfg.KME.Identity]
	if name == nil {
		name = sae.CommonName
	}
	return func(p *sae.Peer) (qsc.AppID, error) {
		app, err := name(p)
		if err == nil && !n.saes.Accepts(app, p.Fingerprint) {
			return "", qsc.E("node.KME", qsc.Denied, string(n.cfg.Node), "no such application, or not with this certificate: qsc sae add")
		}
		return app, err
	}
}

// names are the applications for which a certificate may open streams.
func (n *Node) names(cert *x509.Certificate) []qsc.AppID {
	sum := sha256.Sum256(cert.Raw)
	fingerprint := hex.EncodeToString(sum[:])
	if n.cfg.KME.Identity == "fingerprint" {
		if app, ok := n.saes.Pinned(fingerprint); ok {
			return []qsc.AppID{app}
		}
		return nil
	}
	return slices.DeleteFunc(etsi004.CertNames(cert), func(app qsc.AppID) bool { return !n.saes.Accepts(app, fingerprint) })
}
