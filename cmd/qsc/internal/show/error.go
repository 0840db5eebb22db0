package show

import (
	"regexp"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
)

// operation is the name of the function that an error passed, such as
// "vault.Put: ", which helps nobody at a prompt.
var operation = regexp.MustCompile(`(^|[\s:;(])[a-z]+(\.[A-Z][A-Za-z]*)+: `)

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
	for k := qsc.Invalid; k <= qsc.Unsupported; k++ {
		word := k.String() + ": "
		for strings.Contains(s, word+word) {
			s = strings.ReplaceAll(s, word+word, word)
		}
	}
	parts := strings.Split(s, ": ")
	out := parts[:1]
	for _, p := range parts[1:] {
		if p != out[len(out)-1] {
			out = append(out, p)
		}
	}
	return strings.Join(out, ": ")
}
