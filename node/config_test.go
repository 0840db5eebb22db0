package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func TestConfigRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.toml")
	if err := (Config{Node: "tommo", Network: "../network.toml", Dir: "."}).Save(path); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(path)
	if err != nil || c.Node != "tommo" || c.Network != filepath.Join(dir, "../network.toml") || c.Dir != dir {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestConfigFaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.toml")
	if _, err := LoadConfig(path); !qsc.IsKind(err, qsc.NotFound) {
		t.Error("no file:", err)
	}
	for text, want := range map[string]string{
		"node = 7\nnetwork = \"x\"":                 "line 1",
		"node = \"a\"\nnetwork = \"x\"\ncolour = 1": "line 3",
		"node = \"a\"":                              "required",
		"node = ":                                   "line 1",
		"\x00\xff":                                  "line 1",
		strings.Repeat("#", maxConfig+1):            "no node's file",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(path); !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("node = \"a\"\nnetwork = \"x\"\n"))
	f.Add([]byte("[node]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Config
		if decodeConfig(b, &c) == nil && (c.Node == "" || c.Network == "") {
			t.Error("accepted without node or network")
		}
	})
}

// Doors are kept across Save and LoadConfig, with their paths below the file;
// faults come all at once.
func TestConfigDoors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.toml")
	c := Config{
		Node: "a", Network: "net.toml", Dir: ".",
		TLS:     TLS{Cert: "tls/node.pem", Key: "tls/node.key", CA: "tls/ca.pem"},
		KME:     KME{ETSI014: "127.0.0.1:8443", SAEs: "saes.toml"},
		Control: Control{Buses: []string{"127.0.0.1:4222"}, Listen: "127.0.0.1:4222", Store: "postgres://h/d"},
	}
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.TLS.Cert != filepath.Join(dir, "tls/node.pem") || got.KME.SAEs != filepath.Join(dir, "saes.toml") || got.Control.Store != "postgres://h/d" || got.Control.Buses[0] != "127.0.0.1:4222" {
		t.Errorf("read back: %+v", got)
	}
	bad := Config{Node: "a", Network: "n", Dir: ".", KME: KME{ETSI014: "nowhere", Identity: "face"}, Control: Control{ETSI015: "127.0.0.1:1"}}
	if err := bad.Save(path); err != nil {
		t.Fatal(err)
	}
	_, err = LoadConfig(path)
	for _, want := range []string{"kme.etsi014", "below [tls]", `needs "saes"`, "kme.identity", "control.listen"} {
		if !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not tell of %s", err, want)
		}
	}
	plain := Config{Node: "a", Network: "n", Dir: "."}
	if err := plain.Save(path); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); strings.Contains(string(b), "[") {
		t.Errorf("a node without doors has tables for them:\n%s", b)
	}
}
