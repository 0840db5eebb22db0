package enrol

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// The files of a CA's directory.
const (
	caCertFile = "ca.pem"
	caKeyFile  = "ca.key" // 0600; whoever has it can be anybody
	issuedIn   = "issued" // a copy of every certificate, SERIAL.pem
)

// How long certificates hold.
const (
	CALife    = 10 * 365 * 24 * time.Hour
	LeafLife  = 397 * 24 * time.Hour // unless said otherwise
	minLife   = time.Hour
	clockSlip = 5 * time.Minute // by which clocks may differ
	maxIssued = 100_000
)

// CA is a private certification authority: one ECDSA P-256 key pair in one
// directory.
type CA struct {
	Dir  string
	Cert *x509.Certificate

	private *ecdsa.PrivateKey
	now     func() time.Time
}

// InitCA makes a CA in dir, which is made too. Without force an existing CA is
// left alone (Exists): everything it has certified would have to be made anew.
func InitCA(dir, name string, force bool) (*CA, error) {
	if name == "" || len(name) > 64 {
		return nil, invalid("a CA's name has 1 to 64 bytes")
	}
	if err := os.MkdirAll(filepath.Join(dir, issuedIn), 0o700); err != nil {
		return nil, fileError("InitCA", dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, caKeyFile)); err == nil && !force {
		return nil, qsc.E("enrol.InitCA", qsc.Exists, "", "%s holds a CA; with force all that it has certified must be made anew", dir)
	}
	ca := &CA{Dir: dir, now: time.Now}
	form, err := ca.form(name, CALife)
	if err != nil {
		return nil, err
	}
	form.IsCA, form.BasicConstraintsValid, form.MaxPathLenZero = true, true, true
	form.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if ca.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, qsc.E("enrol.InitCA", qsc.Other, "", "%w", err)
	}
	ca.Cert = form // signs itself
	if ca.Cert, err = ca.sign(form, &ca.private.PublicKey); err != nil {
		return nil, err
	}
	if err := writePair(filepath.Join(dir, caCertFile), filepath.Join(dir, caKeyFile), ca.Cert, ca.private, force); err != nil {
		return nil, err
	}
	return ca, nil
}

// OpenCA opens the CA in dir. Errors: NotFound, Corrupt, Denied when others than
// the owner may read its key.
func OpenCA(dir string) (*CA, error) {
	name := filepath.Join(dir, caKeyFile)
	info, err := os.Stat(name)
	if err != nil {
		return nil, qsc.E("enrol.OpenCA", qsc.NotFound, "", "%s holds no CA; `qsc ca init` makes one: %w", dir, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, qsc.E("enrol.OpenCA", qsc.Denied, "", "others may read the CA's key: chmod 600 %s, and make a new CA if somebody may have", name)
	}
	cert, err := readCert(filepath.Join(dir, caCertFile))
	if err != nil {
		return nil, err
	}
	private, err := readPrivate(name)
	if err != nil {
		return nil, err
	}
	if !cert.IsCA || !private.PublicKey.Equal(cert.PublicKey) {
		return nil, qsc.E("enrol.OpenCA", qsc.Corrupt, "", "%s and %s in %s do not belong together: restore both from one backup", caCertFile, caKeyFile, dir)
	}
	return &CA{Dir: dir, Cert: cert, private: private, now: time.Now}, nil
}

// CertFile is the path of the CA's certificate, which clients and nodes need.
func (ca *CA) CertFile() string { return filepath.Join(ca.Dir, caCertFile) }

// form is a certificate to be filled in. Serials are random: 159 bits, positive.
func (ca *CA) form(cn string, life time.Duration) (*x509.Certificate, error) {
	var serial [20]byte
	_, _ = rand.Read(serial[:])
	serial[0] &= 0x7f
	serial[0] |= 0x40 // never short, never zero
	now := ca.now()
	if life < minLife || life > CALife {
		return nil, invalid("a certificate holds from %v to %v, not %v", minLife, CALife, life)
	}
	f := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]),
		Subject:      pkix.Name{CommonName: cn, Organization: []string{"QSC private CA"}},
		NotBefore:    now.Add(-clockSlip), NotAfter: now.Add(life),
	}
	if ca.Cert != nil && f.NotAfter.After(ca.Cert.NotAfter) {
		return nil, invalid("the CA itself ends on %s: choose a shorter life or make a new CA", ca.Cert.NotAfter.Format(time.DateOnly))
	}
	return f, nil
}

func (ca *CA) sign(form *x509.Certificate, public *ecdsa.PublicKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, form, ca.Cert, public, ca.private)
	if err != nil {
		return nil, qsc.E("enrol.Sign", qsc.Invalid, "", "no certificate can be made of this: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, qsc.E("enrol.Sign", qsc.Invalid, "", "the certificate would not be readable: %w", err)
	}
	return cert, nil
}

// writePair writes a certificate and its private key. The key comes first: a
// certificate without its key is of no use, the other way round nothing is lost.
func writePair(certFile, keyFile string, cert *x509.Certificate, private *ecdsa.PrivateKey, force bool) error {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return qsc.E("enrol.Write", qsc.Other, "", "%w", err)
	}
	defer clear(der)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	defer clear(text)
	if err := writeFile(keyFile, text, 0o600, force); err != nil {
		return err
	}
	return writeFile(certFile, certPEM(cert), 0o644, force)
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

const maxPEM = 64 << 10

// readPEM returns the first block of a type in a small file.
func readPEM(name, kind string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fileError("read", name, err)
	}
	if info.Size() > maxPEM {
		return nil, qsc.E("enrol.Read", qsc.Corrupt, "", "%s is larger than %d bytes: no certificate or key is", name, maxPEM)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fileError("read", name, err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, qsc.E("enrol.Read", qsc.Corrupt, "", "%s holds no %s in PEM", name, kind)
	}
	return block.Bytes, nil
}

func readCert(name string) (*x509.Certificate, error) {
	der, err := readPEM(name, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, qsc.E("enrol.Read", qsc.Corrupt, "", "%s: %w", name, err)
	}
	return c, nil
}

func readPrivate(name string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(name, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	private, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, qsc.E("enrol.Read", qsc.Corrupt, "", "%s is no ECDSA key in PKCS #8", name)
	}
	return private, nil
}
