package enrol

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// The roles of a certificate, as its organizational unit says them.
const (
	RoleNode = "node"
	RoleSAE  = "sae"
)

// Issued is what is known of a certificate.
type Issued struct {
	ID          string    `json:"id"` // of the node or the SAE: the common name
	Role        string    `json:"role"`
	Serial      string    `json:"serial"`      // hexadecimal
	Fingerprint string    `json:"fingerprint"` // SHA-256, lower-case hexadecimal: what a directory pins
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Hosts       []string  `json:"hosts,omitempty"` // of a node
	CertFile    string    `json:"cert_file,omitempty"`
	KeyFile     string    `json:"key_file,omitempty"`
}

// Options of a certificate.
type Options struct {
	Out   string        // directory for ID.pem and ID.key, made if need be; "": the CA's own
	Hosts []string      // of a node: further DNS names and IP addresses
	Life  time.Duration // 0: LeafLife, or as long as the CA still holds
	Renew bool          // replace what is there; the key is new too
}

// Node certifies a node: server and client, under its ID, the loopback
// addresses and hosts. Errors: Exists without Renew, Invalid.
func (ca *CA) Node(id qsc.NodeID, o Options) (Issued, error) {
	if err := checkNodeID(id); err != nil {
		return Issued{}, err
	}
	form, err := ca.leaf(string(id), RoleNode, o)
	if err != nil {
		return Issued{}, err
	}
	form.DNSNames = []string{"localhost", string(id)}
	form.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
	for _, h := range o.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			form.IPAddresses = append(form.IPAddresses, ip)
		} else if isHost(h) {
			form.DNSNames = append(form.DNSNames, h)
		} else {
			return Issued{}, invalid("%q is neither an IP address nor a host name", h)
		}
	}
	return ca.issue(form, o)
}

// SAE certifies an application under its SAE ID (common name). The subject's
// alternative names hold it as a URI: the ID itself if it is one, otherwise
// urn:qsc:sae:ID. It is good as a client, and as a server where two SAEs talk to
// each other (app/tunnel). Errors: Exists without Renew, Invalid.
func (ca *CA) SAE(id qsc.AppID, o Options) (Issued, error) {
	if err := CheckAppID(id); err != nil {
		return Issued{}, err
	}
	if len(o.Hosts) > 0 {
		return Issued{}, invalid("an SAE's certificate names the SAE, not a host")
	}
	form, err := ca.leaf(string(id), RoleSAE, o)
	if err != nil {
		return Issued{}, err
	}
	form.URIs = []*url.URL{saeURI(id)}
	return ca.issue(form, o)
}

func saeURI(id qsc.AppID) *url.URL {
	if u, err := url.Parse(string(id)); err == nil && u.Scheme != "" && u.Host != "" && u.String() == string(id) {
		return u
	}
	return &url.URL{Scheme: "urn", Opaque: "qsc:sae:" + url.PathEscape(string(id))}
}

func (ca *CA) leaf(cn, role string, o Options) (*x509.Certificate, error) {
	life := o.Life
	if life == 0 {
		life = max(minLife, min(LeafLife, ca.Cert.NotAfter.Sub(ca.now())-time.Second))
	}
	form, err := ca.form(cn, life)
	if err != nil {
		return nil, err
	}
	form.Subject.OrganizationalUnit = []string{role}
	form.BasicConstraintsValid = true
	form.KeyUsage = x509.KeyUsageDigitalSignature
	form.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return form, nil
}

// issue makes the key, signs and writes: the CA's copy first, so that nothing
// is out that the list does not know.
func (ca *CA) issue(form *x509.Certificate, o Options) (Issued, error) {
	out := o.Out
	if out == "" {
		out = ca.Dir
	}
	if err := os.MkdirAll(out, 0o700); err != nil {
		return Issued{}, fileError("issue", out, err)
	}
	base := filepath.Join(out, fileName(form.Subject.CommonName))
	if !o.Renew {
		for _, ext := range []string{".pem", ".key"} {
			if _, err := os.Lstat(base + ext); err == nil {
				return Issued{}, qsc.E("enrol.Issue", qsc.Exists, "", "%s%s is there already; renewing replaces certificate and key", base, ext)
			}
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Issued{}, qsc.E("enrol.Issue", qsc.Other, "", "%w", err)
	}
	cert, err := ca.sign(form, &private.PublicKey)
	if err != nil {
		return Issued{}, err
	}
	is := describe(cert)
	if err := writeFile(filepath.Join(ca.Dir, issuedIn, is.Serial+".pem"), certPEM(cert), 0o644, false); err != nil {
		return Issued{}, err
	}
	is.CertFile, is.KeyFile = base+".pem", base+".key"
	return is, writePair(is.CertFile, is.KeyFile, cert, private, o.Renew)
}

// fileName turns an ID into a file's name that every file system takes, and two
// IDs into two: other bytes than letters, digits, '-', '_' and '.' become %XX,
// and so does what would be hidden, the CA's own or longer than 100 bytes.
func fileName(id string) string {
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		plain := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && i > 0
		if plain {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + hex.EncodeToString([]byte{c})) // upper case too: some disks do not tell
		}
	}
	name := b.String()
	if name == "ca" {
		return "%63a"
	}
	if len(name) > 100 {
		sum := sha256.Sum256([]byte(id))
		name = name[:60] + "%" + hex.EncodeToString(sum[:16])
	}
	return name
}

func describe(c *x509.Certificate) Issued {
	sum := sha256.Sum256(c.Raw)
	is := Issued{
		ID: c.Subject.CommonName, Serial: c.SerialNumber.Text(16), Fingerprint: hex.EncodeToString(sum[:]),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter,
	}
	if ou := c.Subject.OrganizationalUnit; len(ou) > 0 {
		is.Role = ou[0]
	}
	is.Hosts = slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		is.Hosts = append(is.Hosts, ip.String())
	}
	return is
}

// List returns what the CA has certified, by role, ID and time. Errors: Corrupt
// naming the file.
func (ca *CA) List() ([]Issued, error) {
	files, err := os.ReadDir(filepath.Join(ca.Dir, issuedIn))
	if err != nil {
		return nil, fileError("List", ca.Dir, err)
	}
	if len(files) > maxIssued {
		return nil, qsc.E("enrol.List", qsc.NoSpace, "", "more than %d certificates: remove the expired ones from %s", maxIssued, issuedIn)
	}
	var all []Issued
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".pem") || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		c, err := readCert(filepath.Join(ca.Dir, issuedIn, f.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, describe(c))
	}
	slices.SortFunc(all, func(a, b Issued) int {
		if d := strings.Compare(a.Role+"\x00"+a.ID, b.Role+"\x00"+b.ID); d != 0 {
			return d
		}
		return a.NotBefore.Compare(b.NotBefore)
	})
	return all, nil
}

// Show describes one certificate file.
func Show(file string) (Issued, error) {
	c, err := readCert(file)
	if err != nil {
		return Issued{}, err
	}
	is := describe(c)
	is.CertFile = file
	return is, nil
}

// LoadTLS reads what a node or an SAE needs to connect and to be connected to:
// its certificate and key, and the CA for both directions. TLS 1.2 at least.
// Errors: NotFound, Corrupt, Denied.
func LoadTLS(certFile, keyFile, caFile string) (*tls.Config, error) {
	ca, err := readCert(caFile)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{certFile, keyFile} {
		if _, err := os.Stat(name); err != nil {
			return nil, fileError("LoadTLS", name, err)
		}
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, qsc.E("enrol.LoadTLS", qsc.Corrupt, "", "%s and %s do not make a pair; renew the certificate: %w", certFile, keyFile, err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

func isHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimPrefix(s, "*."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return true
}
