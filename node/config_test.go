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
