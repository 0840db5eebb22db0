package enrol

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

var update = flag.Bool("update", false, "write the golden files anew")

var client = Client{
	SAE: "hospital a", Peer: "archive/1", KME: "https://192.0.2.1:8443", SKIP: "192.0.2.1:8444",
	CAFile: "ca.pem", CertFile: "hospital%20a.pem", KeyFile: "hospital%20a.key", Remote: "198.51.100.7",
}

func TestSnippets(t *testing.T) {
	for _, kind := range Snippets() {
		got, err := Snippet(kind, client)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join("testdata", kind+".golden")
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is not as in %s:\n%s", kind, name, got)
		}
	}
}

func TestSnippetRefuses(t *testing.T) {
	for name, c := range map[string]func(*Client){
		"a quote in the SAE ID":   func(c *Client) { c.SAE = "a'b" },
		"a command in the SAE ID": func(c *Client) { c.Peer = "$(reboot)" },
		"a long SAE ID":           func(c *Client) { c.SAE = qsc.AppID(strings.Repeat("a", MaxID+1)) },
		"a quote in a path":       func(c *Client) { c.KeyFile = "x'; rm y" },
		"a line in the address":   func(c *Client) { c.Remote = "x\nset y" },
		"no port":                 func(c *Client) { c.KME = "192.0.2.1" },
		"a host that is none":     func(c *Client) { c.KME = "a b:1" },
	} {
		bad := client
		c(&bad)
		for _, kind := range Snippets() {
			if text, err := Snippet(kind, bad); !qsc.IsKind(err, qsc.Invalid) {
				t.Errorf("%s, %s: %v, %q", name, kind, err, text)
			}
		}
	}
	if _, err := Snippet("fax", client); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("another kind: %v", err)
	}
	bad := client
	bad.SKIP = ""
	if _, err := Snippet("cisco-skip", bad); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("without a SKIP gateway: %v", err)
	}
}
