package qsc_test

import (
	"bytes"
	"go/ast"
	"slices"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
)

const whyMoney = `
Why: key bits are money, and a bit used twice gives both messages away. Only the
ledger knows which bits are durably marked, so only it makes pads; only transport
turns a pad into a frame, and only relay lets key leave as key or as an XOR of
two keys, so one place keeps the order: mark, then use.`

const otpPath = module + "/its/otp"

const relayTree = "keymgmt/relay"

// who may call what of package otp, in code that is no test.
var padCallers = map[string]struct{ tree, instead string }{
	"NewPad":    {"keymgmt/ledger", "Reserve a pad from a keymgmt.Ledger"},
	"Seal":      {"transport", "Send through a transport.Stream"},
	"SealClear": {"transport", "Send through a keymgmt.Carrier"},
	"Verify":    {"transport", "Receive through a transport.Stream"},
	"Decrypt":   {"transport", "Receive through a transport.Stream"},
	"Open":      {"", "Call Verify, mark the range with Ledger.Consume, then Decrypt"},
	"Announce":  {relayTree, "Ask a keymgmt.Relay to Make a key"},
	"Release":   {relayTree, "Ask a keymgmt.Relay to Make a key"},
}

// Law 3: who mints and who spends.
func TestLaw3PadsAreMintedAndSpentInOnePlace(t *testing.T) {
	seen := map[string]int{}
	for _, s := range load(t, false) {
		name := s.nameOf(otpPath)
		if name == "." {
			t.Errorf("%s imports otp by a dot, which hides from this law who spends pads: give it a name", s.path)
		}
		if name == "" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !isIdent(sel.X, name) {
				return true
			}
			rule, ok := padCallers[sel.Sel.Name]
			if !ok {
				return true
			}
			if rule.tree == "" || !under(s.dir, rule.tree) {
				t.Errorf("%s: otp.%s is not for %s. %s.%s", at(sel), sel.Sel.Name, s.dir, rule.instead, whyMoney)
			}
			seen[sel.Sel.Name]++
			return true
		})
	}
	for f, rule := range padCallers {
		if rule.tree != "" && seen[f] == 0 && handlesPads(t, rule.tree) {
			t.Errorf("nobody calls otp.%s: the law looks for the wrong name", f)
		}
	}
}

// Law 3: a receiver verifies, marks durably, and only then decrypts; a sender's
// pad comes marked from Reserve.
func TestLaw3MarkThenUse(t *testing.T) {
	checked := 0
	for _, s := range load(t, false) {
		if !under(s.dir, "transport") {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			order := callOrder(f.Body, "Verify", "Consume", "Decrypt")
			if !slices.Contains(order, "Decrypt") {
				continue
			}
			checked++
			if !slices.Equal(order, []string{"Verify", "Consume", "Decrypt"}) {
				t.Errorf("%s: %s calls %s; it must verify, then mark the range with Consume, then decrypt, so that a crash between any two burns key and never uses it twice.%s",
					at(f), f.Name.Name, strings.Join(order, ", "), whyMoney)
			}
		}
	}
	if checked == 0 {
		t.Error("no function of transport decrypts: the law looks for the wrong name")
	}
}

// handlesPads reports whether code of a tree, tests apart, works with pads.
func handlesPads(t *testing.T, tree string) bool {
	return slices.ContainsFunc(load(t, false), func(s source) bool { return under(s.dir, tree) && s.nameOf(otpPath) != "" })
}

// Law 3: a relay marks a received stretch durably before key of it leaves, so a
// function that takes one (View) consumes it there and then.
func TestLaw3RelayMarksThenUses(t *testing.T) {
	viewed := 0
	for _, s := range load(t, false) {
		if !under(s.dir, relayTree) {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			order := padOrder(f.Body, s.nameOf(otpPath))
			if !slices.Contains(order, "View") {
				continue
			}
			viewed++
			if !consumedFirst(order) {
				t.Errorf("%s: %s calls %s; once it has a received pad from View it must mark the range with Consume, before it calls Announce or Release or returns the pad, so that a crash burns key and never uses it twice.%s",
					at(f), f.Name.Name, strings.Join(order, ", "), whyMoney)
			}
		}
	}
	if viewed == 0 && handlesPads(t, relayTree) {
		t.Errorf("no function of %s takes a received pad: the law looks for the wrong name", relayTree)
	}
}

// padOrder lists the calls that take, mark and use received key, as they stand.
func padOrder(body ast.Node, otpName string) []string {
	var order []string
	ast.Inspect(body, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := c.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch name := sel.Sel.Name; name {
		case "View", "Consume":
			order = append(order, name)
		case "Announce", "Release":
			if isIdent(sel.X, otpName) {
				order = append(order, name)
			}
		}
		return true
	})
	return order
}

// consumedFirst reports whether every View is followed by a Consume before
// anything uses the pad and before the function ends.
func consumedFirst(order []string) bool {
	open := false
	for _, call := range order {
		switch call {
		case "View":
			open = true
		case "Consume":
			open = false
		default:
			if open {
				return false
			}
		}
	}
	return !open
}

func TestConsumedFirst(t *testing.T) {
	for calls, want := range map[string]bool{
		"View Consume":               true,
		"View Consume Announce":      true,
		"View View Consume Release":  true,
		"Announce":                   true,
		"View":                       false,
		"View Announce Consume":      false,
		"View Consume View Announce": false,
		"View Release":               false,
	} {
		if got := consumedFirst(strings.Fields(calls)); got != want {
			t.Errorf("%s: %v", calls, got)
		}
	}
}

// callOrder lists the calls of the named functions and methods, as they stand.
func callOrder(body ast.Node, names ...string) []string {
	var order []string
	ast.Inspect(body, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			if sel, ok := c.Fun.(*ast.SelectorExpr); ok && slices.Contains(names, sel.Sel.Name) {
				order = append(order, sel.Sel.Name)
			}
		}
		return true
	})
	return order
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// Law 3: a pad, and every copy of it, seals once, and its bytes are gone then.
func TestLaw3PadServesOnce(t *testing.T) {
	body := []byte("one frame")
	key := bytes.Repeat([]byte{0xa5}, otp.KeyOverhead+len(body))
	pad := otp.NewPad(0, 1, 0, bytes.Repeat([]byte{0x5a}, otp.GuardSize), key, nil)
	again := pad
	frame := make([]byte, otp.Overhead+len(body))
	if err := otp.Seal(frame, &pad, body); err != nil {
		t.Fatal(err)
	}
	if err := otp.Seal(frame, &again, body); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("a second frame under one pad: %v, want Conflict.%s", err, whyMoney)
	}
	if slices.Max(key) != 0 {
		t.Errorf("a spent pad still has its bytes.%s", whyMoney)
	}
}
