package show

import (
	"regexp"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
)

// operation is the name of the function that an error passed, such as
// "vault.Put: ", which helps nobody at a prompt.
var operation = regexp.MustCompile(`(^|[\s:;(])[a-z]+[0-9]*(\.[A-Z][A-Za-z]*)+: `)

// floor is an operation without a method: the name of a package.
var floor = regexp.MustCompile(`(^|: |; )(admin|fleet|node|demo|transport|site): `)

// Error is an error's text on one line, without operations and without saying
// the same kind or place twice.
func Error(err error) string {
	s := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	for range 3 { // operations stand side by side
		s = operation.ReplaceAllString(s, "$1")
		s = floor.ReplaceAllString(s, "$1")
	}
	return once(s)
}

// once drops what a wrapped error says again: the outermost kind, and a place
// twice in a row.
func once(s string) string {
	parts := strings.Split(s, ": ")
	out := parts[:1:1]
	for _, p := range parts[1:] {
		before := out[len(out)-1]
		place := strings.TrimSpace(before[strings.LastIndexByte(before, ';')+1:])
		if p == place || p == parts[0] && isKind(p) {
			continue
		}
		out = append(out, p)
	}
	return strings.Join(out, ": ")
}

func isKind(s string) bool {
	for k := qsc.Invalid; k <= qsc.Replayed; k++ {
		if k.String() == s {
			return true
		}
	}
	return false
}
