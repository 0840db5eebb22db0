// Package etsi004test makes the certificates that tests of ETSI GS QKD 004 need.
// It is imported by tests only; the authority of a network is another matter.
package etsi004test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

// CA is a small authority.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64
}

// NewCA makes an authority.
func NewCA(t testing.TB) *CA {
	t.Helper()
	a := &CA{last: 1}
	a.key = newKey(t)
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Issue makes a certificate for 127.0.0.1 with a common name and URIs, valid for
// the given time from now.
func (a *CA) Issue(t testing.TB, name string, valid time.Duration, uris ...string) tls.Certificate {
	t.Helper()
	a.last++
	form := &x509.Certificate{SerialNumber: big.NewInt(a.last), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(valid), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		form.URIs = append(form.URIs, u)
	}
	k := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
}

func (a *CA) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// Server returns the configuration of a KME.
func (a *CA) Server(t testing.TB) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.Issue(t, "kme", time.Hour)}, ClientCAs: a.pool()}
}

// Client returns the configuration of an application.
func (a *CA) Client(t testing.TB, name string, uris ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.Issue(t, name, time.Hour, uris...)}, RootCAs: a.pool()}
}

// saved is an authority in a form that another process can take.
type saved struct{ Cert, Private []byte }

// Save returns the authority as text for a child process.
func (a *CA) Save(t testing.TB) []byte {
	t.Helper()
	private, err := x509.MarshalECPrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(saved{a.cert.Raw, private})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// LoadCA takes what Save wrote.
func LoadCA(t testing.TB, b []byte) *CA {
	t.Helper()
	var s saved
	a := &CA{last: time.Now().UnixNano()}
	err := json.Unmarshal(b, &s)
	if err == nil {
		a.cert, err = x509.ParseCertificate(s.Cert)
	}
	if err == nil {
		a.key, err = x509.ParseECPrivateKey(s.Private)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}
