package vault

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// checkName refuses names that some program would stumble over: those that are
// too long, not UTF-8, with control characters, or with "." or ".." as a part.
func checkName(name string) error {
	const op = "vault.Put"
	bad := func(format string, args ...any) error { return qsc.E(op, qsc.Invalid, "", format, args...) }
	switch {
	case name == "":
		return bad("the name is empty")
	case len(name) > cloud.MaxName:
		return bad("the name has %d bytes, the limit is %d", len(name), cloud.MaxName)
	case !utf8.ValidString(name):
		return bad("the name is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad("the name holds a control character")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return bad("the name has an empty part, %q or %q between slashes", ".", "..")
		}
	}
	return nil
}
