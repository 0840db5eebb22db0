package qsc_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

const whyTypes = `
Why: logs, errors and test output are copied to places that nobody guards, and
one printed key byte is spent for good. Key, pad, share and patient bytes are of
types without a printed form (qsc.Secret, otp.Pad, *uhash.Key); give a length or
a position in their place.`

// secretBytes occur in every secret of this test, and their traces in nothing
// that is printed.
var secretBytes = []byte{0xc1, 0xd2, 0xe3, 0xf4, 0xa5, 0xb6, 0xc7, 0xd8, 0xc1, 0xd2, 0xe3, 0xf4, 0xa5, 0xb6, 0xc7, 0xd8}

// traces are the forms in which four of those bytes would show.
var traces = []string{
	string(secretBytes[:4]), "c1d2e3f4", "C1D2E3F4", "c1 d2 e3 f4", "193 210 227 244", "193,210,227,244",
	"0xc1, 0xd2", `\xc1\xd2`, "wdLj9", hex.EncodeToString([]byte{0xd8, 0xc7, 0xb6, 0xa5}), "f4e3d2c1", "Á", "4109559745",
	"15616877447480201921", "d8c7b6a5f4e3d2c1", // as a little-endian uint64
}

// secrets are all types that hold secret bytes, bare and inside other values.
func secrets() map[string]any {
	clone := func() []byte { return bytes.Clone(secretBytes) }
	secret := qsc.NewSecret(clone())
	key := append(clone(), append(clone(), clone()...)...)
	pad := otp.NewPad(1, 2, 3, clone(), key, nil)
	point := uhash.NewKey([16]byte(secretBytes))
	hash := point.Start(nil)
	hash.Write(secretBytes[:5])
	return map[string]any{
		"qsc.Secret":          secret,
		"*qsc.Secret":         &secret,
		"[]qsc.Secret":        []qsc.Secret{secret},
		"map of qsc.Secret":   map[string]qsc.Secret{"k": secret},
		"otp.Pad":             pad,
		"*otp.Pad":            &pad,
		"struct with otp.Pad": struct{ P otp.Pad }{pad},
		"*uhash.Key":          point,
		"[]*uhash.Key":        []*uhash.Key{point},
		"*uhash.Hash":         &hash,
		"quantum.KeyBlock":    quantum.KeyBlock{Link: "ab", Key: secret},
		"cloud.Record":        cloud.Record{Name: "n", Placements: []cloud.Placement{{Site: "s", HashKey: secret}}},
		"cloud.Placement":     cloud.Placement{HashKey: secret},
	}
}

// Law 6: no way of printing reaches a byte.
func TestLaw6SecretsHaveNoPrintedForm(t *testing.T) {
	for name, v := range secrets() {
		for form, text := range printed(v) {
			if trace := shows(text); trace {
				t.Errorf("%s printed by %s shows its bytes.%s", name, form, whyTypes)
			}
		}
	}
	for form, text := range printed(secretBytes) {
		if form != "error" && !strings.HasPrefix(form, "%t") && !strings.HasPrefix(form, "%c") && !shows(text) && verbPrintsBytes(form) {
			t.Errorf("the law does not see plain bytes printed by %s", form)
		}
	}
}

// verbPrintsBytes names the forms in which the self-test expects plain bytes.
func verbPrintsBytes(form string) bool {
	return slices.Contains([]string{"%v", "%+v", "%#v", "%s", "%x", "%X", "% x", "%d", "json", "slog text", "slog json"}, form)
}

// printed returns v in every form that logs, errors and encoders give it, %p
// included, where fmt asks no value how it wants to be printed.
func printed(v any) map[string]string {
	forms := map[string]string{}
	for _, flag := range []string{"", "+", "#", " ", "0", "-40", ".3"} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGsp" {
			f := "%" + flag + string(verb)
			forms[f] = fmt.Sprintf(f, v)
		}
	}
	forms["print"] = fmt.Sprintln(v)
	forms["error"] = errors.Join(qsc.E("op", qsc.Other, "", "%v", v), fmt.Errorf("%w: %v", qsc.E("op", qsc.Other, "", "%+v", v), v)).Error()
	if b, err := json.Marshal(v); err == nil {
		forms["json"] = string(b)
	}
	var text, structured bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v, slog.Group("g", "v", v))
	slog.New(slog.NewJSONHandler(&structured, nil)).Info("m", "v", v, slog.Group("g", "v", v))
	forms["slog text"], forms["slog json"] = text.String(), structured.String()
	return forms
}

func shows(text string) bool {
	return slices.ContainsFunc(traces, func(trace string) bool { return strings.Contains(text, trace) })
}

// A struct that holds one of these by value in a field that fmt cannot call
// methods on is printed to the last byte, redacting or not.
var redactedByValue = map[string][]string{module: {"Secret"}, module + "/its/uhash": {"Key", "Hash"}}

// Law 6: no struct hides a secret from its own redaction.
func TestLaw6FieldsKeepTheirRedaction(t *testing.T) {
	for _, s := range load(t, false) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			def, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			st, ok := def.Type.(*ast.StructType)
			if !ok || formats(s.file, def.Name.Name) {
				return true
			}
			for _, field := range st.Fields.List {
				kind := secretKind(s, field.Type)
				if kind != "" && (kind != "Secret" || hidden(field)) {
					t.Errorf("%s: %s holds a %s by value, where fmt prints it without asking it: hold a pointer, export a qsc.Secret field, or give %s its own Format method.%s",
						at(field), def.Name.Name, kind, def.Name.Name, whyTypes)
				}
			}
			return true
		})
	}
}

// secretKind names the redacted type that e is by value, "" for any other.
func secretKind(s source, e ast.Expr) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	for path, kinds := range redactedByValue {
		if name := s.nameOf(path); name != "" && isIdent(sel.X, name) && slices.Contains(kinds, sel.Sel.Name) {
			return sel.Sel.Name
		}
	}
	return ""
}

func hidden(field *ast.Field) bool {
	return slices.ContainsFunc(field.Names, func(n *ast.Ident) bool { return !n.IsExported() })
}

// formats reports whether the file gives the type a Format method.
func formats(f *ast.File, name string) bool {
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv == nil || fn.Name.Name != "Format" {
			return false
		}
		recv := fn.Recv.List[0].Type
		if star, ok := recv.(*ast.StarExpr); ok {
			recv = star.X
		}
		return isIdent(recv, name)
	})
}

// Law 6: an exported field whose name says key, pad, mask or secret is not of
// raw bytes, for it would be printed with the struct.
func TestLaw6ExportedFieldsAreTyped(t *testing.T) {
	allowed := except(map[string]string{
		"its/share Piece.Payload":        "a view of a buffer, taken apart in hot loops; never logged",
		"its/share Piece.MaskShares":     "as Payload",
		"quantum/simulated Seed.Key":     "the seed of simulated key, which protects nothing and says so in its class",
		"quantum/simulated seedFile.Key": "the seed's file is this field",
	})
	for _, s := range load(t, false) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			def, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			st, ok := def.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range st.Fields.List {
				for _, name := range field.Names {
					if name.IsExported() && secretName(name.Name) && rawBytes(field.Type) && !allowed.allow(s.dir+" "+def.Name.Name+"."+name.Name) {
						t.Errorf("%s: %s.%s holds raw bytes: make it a qsc.Secret.%s", at(name), def.Name.Name, name.Name, whyTypes)
					}
				}
			}
			return true
		})
	}
	allowed.check(t)
}

// rawBytes reports whether e is []byte, [N]byte, or slices of those.
func rawBytes(e ast.Expr) bool {
	a, ok := e.(*ast.ArrayType)
	return ok && (isIdent(a.Elt, "byte") || rawBytes(a.Elt))
}
