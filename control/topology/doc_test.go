package topology

import (
	"os"
	"strings"
	"testing"
)

func designDoc(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/design/network.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// block returns the first fenced block of a kind in the design document.
func block(t *testing.T, fence string) string {
	t.Helper()
	_, rest, ok := strings.Cut(designDoc(t), "\n```"+fence+"\n")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !ok || !closed {
		t.Fatalf("no block ```%s in docs/design/network.md", fence)
	}
	return text
}

func TestDocumentedNetwork(t *testing.T) {
	n, err := Parse("docs/design/network.md", []byte(block(t, "toml")))
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Sites) != 3 || len(n.Nodes) != 3 || len(n.Links) != 2 || len(n.Policies) != 1 {
		t.Errorf("the documented network is cut short: %+v", n)
	}
	if err := n.Runnable(); err != nil {
		t.Error(err)
	}
}

func TestDocumentedFaults(t *testing.T) {
	golden, err := os.ReadFile("testdata/many.golden")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(designDoc(t)) {
		if !strings.HasPrefix(line, "many.toml:") {
			continue
		}
		found++
		if !strings.Contains(string(golden), line) {
			t.Errorf("the document shows a fault that is not listed so: %s", line)
		}
	}
	if found < 3 {
		t.Errorf("the document shows %d faults", found)
	}
}

// Every key that Marshal writes has a row in the document.
func TestDocumentedKeys(t *testing.T) {
	doc := designDoc(t)
	n := load(t, "tohoku")
	n.Links[0].Rate, n.Nodes[0].Listen, n.Nodes[0].Metrics = 1, "a:1", "a:2"
	for line := range strings.Lines(string(n.Marshal())) {
		key, _, isKey := strings.Cut(line, " = ")
		if isKey && !strings.Contains(doc, "\n| `"+key+"` |") {
			t.Errorf("key %s has no row in the document", key)
		}
	}
}
