// Package testkit holds what tests of several floors need. No program uses it.
package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority of one test: P-256, valid for a day.
type CA struct {
	Pool *x509.CertPool
	cert *x509.Certificate
	sign *ecdsa.PrivateKey
	pem  []byte
}

// NewCA makes one.
func NewCA(t testing.TB) *CA {
	t.Helper()
	sign := newSigner(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &sign.PublicKey, sign)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &CA{pool, cert, sign, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func newSigner(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return k
}

// Leaf makes a certificate for cn, good for server and client on the loopback
// address; alter may change the template.
func (ca *CA) Leaf(t testing.TB, cn string, alter ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	signer := newSigner(t)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	for _, f := range alter {
		f(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &signer.PublicKey, ca.sign)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer, Leaf: leaf}
}

// URI returns a change of a template: a URI among the alternative names.
func URI(t testing.TB, text string) func(*x509.Certificate) {
	t.Helper()
	u, err := url.Parse(text)
	must(t, err)
	return func(c *x509.Certificate) { c.URIs = append(c.URIs, u) }
}

// Client returns the configuration of a client that shows cert and trusts the CA.
func (ca *CA) Client(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: ca.Pool}
}

// Files writes the CA, and a certificate with its private half, as PEM files and
// returns their paths.
func (ca *CA) Files(t testing.TB, cert tls.Certificate) (caFile, certFile, privateFile string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	must(t, err)
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, text, 0o600))
		return path
	}
	return write("ca.pem", ca.pem), write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		write("private.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
