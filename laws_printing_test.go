package qsc_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
)

// secretWords are the words by which we name what must not be printed.
var secretWords = []string{
	"secret", "secrets", "key", "keys", "pad", "pads", "coeff", "coeffs", "mask", "masks", "guard", "piece", "pieces",
	"share", "shares", "plaintext", "plain", "payload", "body", "salt",
}

// Words that turn such a name into one that is harmless: a number, a name, a
// public part.
var harmlessWords = []string{
	"id", "size", "len", "length", "count", "limit", "overhead", "max", "min", "pos", "index", "at", "name", "path", "file",
	"rate", "class", "err", "info", "kind", "type", "state", "number", "header", "point", "points", "link", "run",
}

// secretName reports whether an identifier, split at its capitals, names secret
// bytes.
func secretName(name string) bool {
	words := camel(name)
	has := func(list []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	return has(secretWords) && !has(harmlessWords)
}

func camel(name string) []string {
	var words []string
	start := 0
	runes := []rune(name)
	for i := 1; i <= len(runes); i++ {
		if i == len(runes) || unicode.IsUpper(runes[i]) && !unicode.IsUpper(runes[i-1]) {
			words = append(words, strings.ToLower(string(runes[start:i])))
			start = i
		}
	}
	return words
}

// printers are the calls whose arguments become text: of these packages, and
// methods of these names on loggers and tests.
var printPackages = []string{"fmt", "log", "log/slog", "errors", module}

var printMethods = []string{
	"Debug", "Info", "Warn", "Error", "Log", "With", "DebugContext", "InfoContext", "WarnContext", "ErrorContext", "LogAttrs",
	"Errorf", "Fatal", "Fatalf", "Logf", "Skipf", "Print", "Printf", "Println", "Panic", "Panicf",
}

// Law 6, tests included: nothing that is named as secret bytes are, nor the
// result of Expose, is printed.
func TestLaw6NothingSecretIsPrinted(t *testing.T) {
	allowed := except(map[string]string{
		"cmd/qsc/internal/bench pad": "the size of a ring, as text",
		"control/topology key":       "a key of the network description",
	})
	calls := 0
	for _, s := range load(t, true) {
		found, n := leaks(s)
		calls += n
		for _, l := range found {
			if !allowed.allow(s.dir + " " + l.name) {
				t.Errorf("%s prints %s. If it is no secret, rename it or name it with the reason in this law.%s", at(l.arg), l.name, whyTypes)
			}
		}
	}
	allowed.check(t)
	if calls < 100 {
		t.Errorf("%d printing calls found: the law looks for the wrong names", calls)
	}
}

// printing is a printed argument with the name that gives it away.
type printing struct {
	name string
	arg  ast.Expr
}

// leaks returns what a file prints by its name, and how often the file prints.
func leaks(s source) (found []printing, calls int) {
	text := textParameters(s.file)
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !prints(s, call) {
			return true
		}
		calls++
		for i, arg := range call.Args {
			if id, ok := arg.(*ast.Ident); ok && text[id.Name] || countVerb(call, i) {
				continue
			}
			if name := leak(arg); name != "" {
				found = append(found, printing{name, arg})
			}
		}
		return true
	})
	return found, calls
}

// textParameters names the parameters of a file's functions that are strings or
// numbers wherever they occur: "key string" is the key of a map, not key.
func textParameters(f *ast.File) map[string]bool {
	text := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		fn, ok := n.(*ast.FuncType)
		if !ok {
			return true
		}
		for _, field := range fn.Params.List {
			id, basic := field.Type.(*ast.Ident)
			basic = basic && slices.Contains([]string{"string", "int", "int64", "uint64", "uint32", "bool"}, id.Name)
			for _, name := range field.Names {
				was, known := text[name.Name]
				text[name.Name] = basic && (was || !known)
			}
		}
		return true
	})
	return text
}

// countVerb reports whether argument i of a formatting call stands under %d or
// %t, as a count does.
func countVerb(call *ast.CallExpr, i int) bool {
	for at, arg := range call.Args {
		lit, ok := arg.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING || !strings.Contains(lit.Value, "%") || i <= at {
			continue
		}
		verbs := verb.FindAllString(strings.ReplaceAll(lit.Value, "%%", ""), -1)
		n := i - at - 1
		return n < len(verbs) && strings.ContainsAny(verbs[n][len(verbs[n])-1:], "dt")
	}
	return false
}

var verb = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// prints reports whether a call turns its arguments into text.
func prints(s source, call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return isIdent(call.Fun, "panic") || isIdent(call.Fun, "print") || isIdent(call.Fun, "println")
	}
	for _, path := range printPackages {
		if name := s.nameOf(path); name != "" && isIdent(sel.X, name) {
			return path != module || sel.Sel.Name == "E"
		}
	}
	return slices.Contains(printMethods, sel.Sel.Name)
}

// leak returns the name of the secret bytes that printing e would show. What is
// computed from them (a length, a comparison, an index of one's own) is not
// looked into; conversions, slices and encoders are.
func leak(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.Ident:
		if secretName(x.Name) {
			return x.Name
		}
	case *ast.SelectorExpr:
		if secretName(x.Sel.Name) && !countField(x.Sel.Name) {
			return x.Sel.Name
		}
	case *ast.SliceExpr:
		return leak(x.X)
	case *ast.IndexExpr:
		return leak(x.X)
	case *ast.StarExpr:
		return leak(x.X)
	case *ast.UnaryExpr:
		return leak(x.X)
	case *ast.ParenExpr:
		return leak(x.X)
	case *ast.BinaryExpr:
		if x.Op == token.ADD {
			return cmp.Or(leak(x.X), leak(x.Y))
		}
	case *ast.CallExpr:
		return leakCall(x)
	}
	return ""
}

// rawFields tells of every struct field name in the module whether a field of
// that name holds bytes or a secret somewhere.
var rawFields = sync.OnceValue(func() map[string]bool {
	raw := map[string]bool{}
	all, _ := sources() // load has reported the error
	for _, s := range all {
		ast.Inspect(s.file, func(n ast.Node) bool {
			st, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range st.Fields.List {
				for _, name := range field.Names {
					raw[name.Name] = raw[name.Name] || rawBytes(field.Type) || secretKind(s, field.Type) != ""
				}
			}
			return true
		})
	}
	return raw
})

// countField reports whether a name is a field's, and nowhere one of bytes: a
// site's number of Shares.
func countField(name string) bool {
	raw, known := rawFields()[name]
	return known && !raw
}

// encoders turn bytes into text and keep what they say.
var encoders = []string{"string", "EncodeToString", "Sprintf", "Sprint", "Sprintln", "Clone", "String", "Quote", "Any", "Join"}

func leakCall(c *ast.CallExpr) string {
	name := ""
	switch f := c.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	case *ast.ArrayType, *ast.ParenExpr:
		name = "string" // a conversion
	}
	if name == "Expose" {
		return "the result of Expose"
	}
	if !slices.Contains(encoders, name) {
		return ""
	}
	for _, arg := range c.Args {
		if inner := leak(arg); inner != "" {
			return inner
		}
	}
	return ""
}

// The law sees what it is for.
func TestLaw6SeesLeaks(t *testing.T) {
	for text, want := range map[string]bool{
		"secret": true, "s.HashKey": true, "string(secret)": true, "pad[:4]": true, "k.Expose()": true, "hex.EncodeToString(masks)": true,
		"fmt.Sprintf(`%x`, share)": true, "*mask": true, "[]byte(payload)": true, "`x` + secret": true, "secret + `x`": true,
		"len(secret)": false, "keyID": false, "pad.Pos()": false, "h.PadLen()": false, "name": false, "keySize": false, "bytes.Equal(share, want)": false,
	} {
		e, err := parser.ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := leak(e) != ""; got != want {
			t.Errorf("%s: seen %t, want %t", text, got, want)
		}
	}
}

func TestLaw6SeesLeakingFiles(t *testing.T) {
	const text = `package p
	import ("fmt"; "log/slog"; q "` + module + `")
	func f(key string, pad []byte, shares int, lg *slog.Logger) {
		fmt.Printf("%s has %d", key, shares)
		fmt.Printf("%d%% %x", shares, pad)
		lg.Info("m", "pad", pad[:8], "len", len(pad))
		_ = q.E("op", q.Other, "", "%v", string(pad))
		_ = q.NewSecret(pad)
	}`
	f, err := parser.ParseFile(fileSet, "leaky.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	found, calls := leaks(source{path: "leaky.go", file: f})
	for _, l := range found {
		lines = append(lines, fileSet.Position(l.arg.Pos()).Line)
	}
	if want := []int{5, 6, 7}; !slices.Equal(lines, want) || calls != 4 {
		t.Errorf("leaks seen in lines %v of %d calls, want %v of 4", lines, calls, want)
	}
}
