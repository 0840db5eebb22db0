package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// docs/cli.md names every command and flag, and every exit code with its words.
func TestDocumentIsComplete(t *testing.T) {
	b, err := os.ReadFile("../../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for _, c := range exitCodes {
		if !strings.Contains(doc, fmt.Sprintf("| %d | %s", c.code, c.text)) {
			t.Errorf("docs/cli.md lacks exit code %d, %q", c.code, c.text)
		}
	}
	a := &app{}
	walk(a.root(), func(c *cobra.Command) {
		if c.Runnable() && !c.HasSubCommands() && !strings.Contains(doc, "`"+c.CommandPath()) {
			t.Errorf("docs/cli.md lacks %s", c.CommandPath())
		}
	})
}

func walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, s := range c.Commands() {
		walk(s, f)
	}
}
