package tunneltest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// Certificates returns TLS configurations of several SAEs under one CA of the
// test, each good as client and as server.
func Certificates(t testing.TB, names ...string) map[string]*tls.Config {
	t.Helper()
	root, caPrivate := certify(t, "test CA", nil, nil)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	out := map[string]*tls.Config{}
	for _, name := range names {
		leaf, private := certify(t, name, root, caPrivate)
		out[name] = &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: private}},
			RootCAs:      pool, ClientCAs: pool, MinVersion: tls.VersionTLS13,
		}
	}
	return out
}

func certify(t testing.TB, name string, ca *x509.Certificate, caPrivate *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if ca == nil {
		ca, caPrivate = form, private
		form.IsCA, form.BasicConstraintsValid, form.KeyUsage = true, true, x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, form, ca, private.Public(), caPrivate)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, private
}
