package tunnel

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// control is the leader's end of a control connection.
type control struct {
	c net.Conn
	r *bufio.Reader
}

func newControl(c net.Conn) *control { return &control{c, bufio.NewReaderSize(c, maxLine)} }

// ask sends a request and reads its answer. After an error the connection is of
// no use. Errors: Unreachable, Timeout, Invalid.
func (p *control) ask(ctx context.Context, r request) (a answer, err error) {
	stop := context.AfterFunc(ctx, func() { _ = p.c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	text, err := json.Marshal(r)
	if err != nil {
		return a, qsc.E("tunnel.Ask", qsc.Invalid, "", "%w", err)
	}
	if _, err := p.c.Write(append(text, '\n')); err != nil {
		return a, gone(ctx, err)
	}
	line, err := readLine(p.r)
	if err != nil {
		return a, gone(ctx, err)
	}
	return a, strict(line, &a)
}

func gone(ctx context.Context, err error) error {
	if qsc.IsKind(err, qsc.Invalid) {
		return err
	}
	if ctx.Err() != nil {
		return qsc.E("tunnel.Ask", qsc.Timeout, "", "the other end did not answer in time")
	}
	return qsc.E("tunnel.Ask", qsc.Unreachable, "", "the control connection broke: %w", err)
}

// Dialer returns Leader.Dial: TLS 1.3 to addr with conf's certificate, to a peer
// whose certificate is good under conf.RootCAs and names peer (identities).
func Dialer(addr string, conf *tls.Config, peer qsc.AppID) func(context.Context) (net.Conn, error) {
	c := conf.Clone()
	c.MinVersion = tls.VersionTLS13
	// An SAE's certificate names the SAE, not the machine it runs on, so the
	// chain and the name are checked here in place of the host name.
	c.InsecureSkipVerify = true
	c.VerifyConnection = verifier(conf.RootCAs, x509.ExtKeyUsageServerAuth, peer)
	d := &tls.Dialer{Config: c}
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, dialError(addr, err)
		}
		return conn, nil
	}
}

func dialError(addr string, err error) error {
	if qsc.IsKind(err, qsc.Denied) {
		return err
	}
	return qsc.E("tunnel.Dial", qsc.Unreachable, "", "cannot reach the other end's control port %s; is qsc running there with --listen? %w", addr, err)
}

// Listen wraps ln for Follower.Serve: TLS 1.3 with conf's certificate; a client
// must show one that is good under conf.ClientCAs and names peer.
func Listen(ln net.Listener, conf *tls.Config, peer qsc.AppID) net.Listener {
	c := conf.Clone()
	c.MinVersion = tls.VersionTLS13
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.VerifyConnection = verifier(conf.ClientCAs, x509.ExtKeyUsageClientAuth, peer)
	return tls.NewListener(ln, c)
}

// verifier checks chain, usage and name, also of a resumed session.
func verifier(roots *x509.CertPool, usage x509.ExtKeyUsage, peer qsc.AppID) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return qsc.E("tunnel.Verify", qsc.Denied, "", "the other end shows no certificate")
		}
		leaf, between := s.PeerCertificates[0], x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		opts := x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}}
		if roots == nil {
			return qsc.E("tunnel.Verify", qsc.Denied, "", "no CA is configured to check the other end's certificate with")
		}
		if _, err := leaf.Verify(opts); err != nil {
			return qsc.E("tunnel.Verify", qsc.Denied, "", "the other end's certificate is not good: %w", err)
		}
		if !names(leaf, peer) {
			return qsc.E("tunnel.Verify", qsc.Denied, "", "the other end is %q, not %q", leaf.Subject.CommonName, peer)
		}
		return nil
	}
}

// names reports whether a certificate is that of an SAE: by its common name or
// a URI of its subject alternative name.
func names(c *x509.Certificate, peer qsc.AppID) bool {
	if peer == "" {
		return false
	}
	if c.Subject.CommonName == string(peer) {
		return true
	}
	for _, u := range c.URIs {
		if u.String() == string(peer) {
			return true
		}
	}
	return false
}
