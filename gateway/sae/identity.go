// Package sae is the door through which secure application entities come to a
// gateway that speaks HTTP: mutual TLS 1.2 or 1.3, the caller's identity from its
// certificate, and bounds on connections and time.
//
// It knows no protocol above HTTP and decides nothing about keys: whether a known
// application may do what it asks is the gateway's and the directory's to say.
package sae

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Peer is whoever holds the other end of a connection.
type Peer struct {
	Certificate *x509.Certificate
	Fingerprint string    // SHA-256 of the certificate, lower-case hexadecimal
	until       time.Time // when no chain of the certificate is valid any more
}

// Identity finds the application that a certificate stands for. ETSI GS QKD 014
// does not say where in it the SAE ID is. Error: Denied.
type Identity func(p *Peer) (qsc.AppID, error)

func denied(format string, args ...any) error {
	return qsc.E("sae.Identity", qsc.Denied, "", format, args...)
}

// CommonName takes the subject's CN.
func CommonName(p *Peer) (qsc.AppID, error) {
	if cn := p.Certificate.Subject.CommonName; cn != "" {
		return qsc.AppID(cn), nil
	}
	return "", denied("the certificate has no common name to take the SAE ID from")
}

// URI takes the only URI among the subject's alternative names, whole.
func URI(p *Peer) (qsc.AppID, error) {
	if u := p.Certificate.URIs; len(u) == 1 {
		return qsc.AppID(u[0].String()), nil
	}
	return "", denied("the certificate has %d URIs among its names; exactly one is the SAE ID", len(p.Certificate.URIs))
}

// DNS takes the only DNS name among the subject's alternative names.
func DNS(p *Peer) (qsc.AppID, error) {
	if d := p.Certificate.DNSNames; len(d) == 1 {
		return qsc.AppID(d[0]), nil
	}
	return "", denied("the certificate has %d DNS names; exactly one is the SAE ID", len(p.Certificate.DNSNames))
}

// Pinned looks the certificate itself up by its fingerprint. What lookup takes
// back holds from the next request on, on open connections too.
func Pinned(lookup func(fingerprint string) (qsc.AppID, bool)) Identity {
	return func(p *Peer) (qsc.AppID, error) {
		if app, ok := lookup(p.Fingerprint); ok {
			return app, nil
		}
		return "", denied("the certificate with SHA-256 fingerprint %s is not pinned to any SAE", p.Fingerprint)
	}
}

type connKey struct{}

// conn is what is kept of a connection between its requests, which come one
// after the other.
type conn struct{ peer *Peer }

// PeerOf returns who sent a request that came through a Door. A certificate is
// checked again at every request: a connection outlives it, and so may a resumed
// session. Error: Denied.
func PeerOf(r *http.Request, now time.Time) (*Peer, error) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		c = new(conn)
	}
	if c.peer == nil {
		c.peer = peerOf(r)
	}
	switch {
	case c.peer == nil:
		return nil, denied("a client certificate is needed")
	case now.After(c.peer.until):
		return nil, denied("the client certificate has expired: renew it")
	}
	return c.peer, nil
}

// peerOf reads the state of the TLS connection, which a resumed session carries
// over from the first handshake.
func peerOf(r *http.Request) *Peer {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	leaf := r.TLS.PeerCertificates[0]
	sum := sha256.Sum256(leaf.Raw)
	p := &Peer{Certificate: leaf, Fingerprint: hex.EncodeToString(sum[:])}
	for _, chain := range r.TLS.VerifiedChains {
		end := leaf.NotAfter
		for _, c := range chain {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end.After(p.until) {
			p.until = end
		}
	}
	return p
}

func withConn(ctx context.Context) context.Context {
	return context.WithValue(ctx, connKey{}, new(conn))
}
