package enrol

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

func newCA(t *testing.T) *CA {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if _, err := InitCA(dir, "test network", false); err != nil {
		t.Fatal(err)
	}
	ca, err := OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestCA(t *testing.T) {
	ca := newCA(t)
	for name, perm := range map[string]os.FileMode{caKeyFile: 0o600, caCertFile: 0o644} {
		info, err := os.Stat(filepath.Join(ca.Dir, name))
		if err != nil || info.Mode().Perm() != perm {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if !ca.Cert.IsCA || ca.Cert.Subject.CommonName != "test network" || ca.Cert.CheckSignatureFrom(ca.Cert) != nil {
		t.Errorf("the CA's certificate is %v", ca.Cert.Subject)
	}
	if _, err := InitCA(ca.Dir, "another", false); !qsc.IsKind(err, qsc.Exists) {
		t.Errorf("a second CA over the first: %v", err)
	}
	other, err := InitCA(ca.Dir, "another", true)
	if err != nil || other.Cert.Equal(ca.Cert) {
		t.Errorf("by force: %v", err)
	}
	if _, err := OpenCA(t.TempDir()); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("no CA: %v", err)
	}
}

func TestOpenCARefuses(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	key := filepath.Join(ca.Dir, caKeyFile)
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCA(ca.Dir); !qsc.IsKind(err, qsc.Denied) || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read: %v", err)
	}
	text, _ := os.ReadFile(filepath.Join(other.Dir, caKeyFile))
	if err := os.WriteFile(key, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(key, 0o600)
	if _, err := OpenCA(ca.Dir); !qsc.IsKind(err, qsc.Corrupt) {
		t.Errorf("another CA's key: %v", err)
	}
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCA(ca.Dir); !qsc.IsKind(err, qsc.Corrupt) {
		t.Errorf("no key: %v", err)
	}
}

// talks reports whether two ends with these certificates come to a TLS
// connection, the client calling host, and both can tell whom they talk to.
func talks(t *testing.T, client, server *tls.Config, host string) error {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := server.Clone()
	s.ClientAuth = tls.RequireAndVerifyClientCert
	var accepted error
	var serving sync.WaitGroup
	serving.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			accepted = err
			return
		}
		defer c.Close()
		accepted = tls.Server(c, s).HandshakeContext(context.Background())
	})
	c := client.Clone()
	c.ServerName = host
	conn, err := tls.Dial("tcp", ln.Addr().String(), c)
	if err == nil {
		_ = conn.Close()
	} else {
		_ = ln.Close()
	}
	serving.Wait()
	if err != nil {
		return err
	}
	return accepted
}

func TestCertificatesWork(t *testing.T) {
	ca, out := newCA(t), t.TempDir()
	node, err := ca.Node("sendai", Options{Out: out, Hosts: []string{"kme.example.org", "192.0.2.9"}})
	if err != nil {
		t.Fatal(err)
	}
	sae, err := ca.SAE("hospital a", Options{Out: out})
	if err != nil {
		t.Fatal(err)
	}
	load := func(is Issued) *tls.Config {
		c, err := LoadTLS(is.CertFile, is.KeyFile, ca.CertFile())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, host := range []string{"127.0.0.1", "::1", "localhost", "sendai", "kme.example.org", "192.0.2.9"} {
		if err := talks(t, load(sae), load(node), host); err != nil {
			t.Errorf("an SAE calls %s: %v", host, err)
		}
	}
	if talks(t, load(sae), load(node), "other.example.org") == nil {
		t.Error("a node was taken for a host it is not")
	}
	foreign, err := newCA(t).SAE("hospital a", Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := LoadTLS(foreign.CertFile, foreign.KeyFile, ca.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	if talks(t, c, load(node), "sendai") == nil {
		t.Error("a certificate of another CA was taken")
	}
	if info, _ := os.Stat(sae.KeyFile); info.Mode().Perm() != 0o600 {
		t.Errorf("an SAE's key has mode %v", info.Mode())
	}
	cert := load(sae).Certificates[0].Leaf
	if cert.Subject.CommonName != "hospital a" || len(cert.URIs) != 1 || cert.URIs[0].String() != "urn:qsc:sae:hospital%20a" || cert.IsCA {
		t.Errorf("certificate of %q, URIs %v", cert.Subject.CommonName, cert.URIs)
	}
}

func TestURIsAreKept(t *testing.T) {
	for id, want := range map[qsc.AppID]string{"qkd://site/a": "qkd://site/a", "a": "urn:qsc:sae:a", "qkd://ü/a": "urn:qsc:sae:qkd:%2F%2F%C3%BC%2Fa"} {
		if got := saeURI(id).String(); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func TestRenewAndList(t *testing.T) {
	ca := newCA(t)
	first, err := ca.SAE("a", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.SAE("a", Options{}); !qsc.IsKind(err, qsc.Exists) {
		t.Errorf("a second certificate in the place of the first: %v", err)
	}
	second, err := ca.SAE("a", Options{Renew: true, Life: 48 * time.Hour})
	if err != nil || second.Serial == first.Serial || second.Fingerprint == first.Fingerprint || second.CertFile != first.CertFile {
		t.Errorf("renewed: %+v, %v", second, err)
	}
	if _, err := LoadTLS(second.CertFile, second.KeyFile, ca.CertFile()); err != nil {
		t.Errorf("the renewed pair: %v", err)
	}
	if _, err := ca.Node("n", Options{}); err != nil {
		t.Fatal(err)
	}
	all, err := ca.List()
	if err != nil || len(all) != 3 || all[0].Role != RoleNode || all[1].ID != "a" || all[2].Role != RoleSAE {
		t.Errorf("%+v, %v", all, err)
	}
	shown, err := Show(second.CertFile)
	if err != nil || shown.Fingerprint != second.Fingerprint || shown.Serial != second.Serial {
		t.Errorf("%+v, %v", shown, err)
	}
}

func TestBadCertificates(t *testing.T) {
	ca := newCA(t)
	for name, err := range map[string]error{
		"an empty node ID":     second(ca.Node("", Options{})),
		"a node ID in capital": second(ca.Node("N", Options{})),
		"no host":              second(ca.Node("n", Options{Hosts: []string{"a b"}})),
		"an empty SAE ID":      second(ca.SAE("", Options{})),
		"a star":               second(ca.SAE("*", Options{})),
		"a line break":         second(ca.SAE("a\nb", Options{})),
		"a long SAE ID":        second(ca.SAE(qsc.AppID(strings.Repeat("a", MaxID+1)), Options{})),
		"a host of an SAE":     second(ca.SAE("a", Options{Hosts: []string{"h"}})),
		"too short":            second(ca.SAE("a", Options{Life: time.Minute})),
		"longer than the CA":   second(ca.SAE("a", Options{Life: CALife})),
	} {
		if !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := ca.List(); err != nil || len(all) != 0 {
		t.Errorf("certificates of refused requests: %+v, %v", all, err)
	}
	if _, err := ca.SAE(qsc.AppID(strings.Repeat("ü", MaxID/2)), Options{}); err != nil {
		t.Errorf("the longest SAE ID: %v", err)
	}
}

func second(_ Issued, err error) error { return err }

// A CA that is about to end certifies no longer than it holds.
func TestEndingCA(t *testing.T) {
	ca := newCA(t)
	ca.now = func() time.Time { return time.Now().Add(CALife - 30*24*time.Hour) }
	is, err := ca.SAE("a", Options{})
	if err != nil || is.NotAfter.After(ca.Cert.NotAfter) {
		t.Errorf("until %v, the CA until %v, error %v", is.NotAfter, ca.Cert.NotAfter, err)
	}
}

func TestFileNames(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"a", "A", "a/b", "a%2fb", ".", "..", ".a", "ca", "%63a", "a b", "ü", strings.Repeat("x", 200), strings.Repeat("x", 201)} {
		name := fileName(id)
		if other, twice := seen[name]; twice {
			t.Errorf("%q and %q have the name %q", id, other, name)
		}
		seen[name] = id
		if strings.ContainsAny(name, "/\\ ") || name[0] == '.' || len(name) > 120 {
			t.Errorf("%q has the name %q", id, name)
		}
	}
}

// Serials are random and positive, of RFC 5280's 20 bytes at most.
func TestSerials(t *testing.T) {
	ca, seen := newCA(t), map[string]bool{}
	for range 200 {
		f, err := ca.form("x", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if seen[f.SerialNumber.String()] || f.SerialNumber.Sign() <= 0 || f.SerialNumber.BitLen() != 159 {
			t.Fatalf("serial %v", f.SerialNumber)
		}
		seen[f.SerialNumber.String()] = true
	}
	if ca.Cert.PublicKeyAlgorithm != x509.ECDSA {
		t.Error("no ECDSA key")
	}
}
