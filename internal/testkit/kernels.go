package testkit

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// EachKernel runs f as a subtest under every kernel of a package, by the package's
// functions Kernels and Use.
func EachKernel(t *testing.T, names []string, use func(name string) (restore func(), err error), f func(t *testing.T)) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) { under(t, name, use, func() { f(t) }) })
	}
}

// UnderKernels runs f under every kernel, without subtests.
func UnderKernels(t testing.TB, names []string, use func(name string) (restore func(), err error), f func(name string)) {
	t.Helper()
	for _, name := range names {
		under(t, name, use, func() { f(name) })
	}
}

func under(t testing.TB, name string, use func(name string) (restore func(), err error), f func()) {
	t.Helper()
	restore, err := use(name)
	if err != nil {
		t.Fatal(err)
	}
	defer restore()
	f()
}

// Oblivious fails the test unless an assembly file shows by its form that no branch
// and no address depends on data. General registers are filled from arguments,
// constants and each other only, never from memory or from vector registers, so what
// they hold follows from the arguments: lengths and addresses. Data stay in vector
// registers; masks are made of general registers, and nothing compares vectors.
//
// It is the form of kernels whose arguments hold no data and point to data alone: one
// that reads lengths or addresses from memory does not have it.
func Oblivious(t testing.TB, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, line := range strings.Split(string(b), "\n") {
		line, _, _ = strings.Cut(line, "//")
		if !strings.HasPrefix(line, "\t") || strings.TrimSpace(line) == "" {
			continue // labels, tables, heads of functions
		}
		n++
		if why := leaks(strings.TrimSpace(line)); why != "" {
			t.Errorf("%s:%d: %s: %s", file, i+1, strings.TrimSpace(line), why)
		}
	}
	if n < 10 {
		t.Errorf("%s has %d instructions: the test reads another form of assembly", file, n)
	}
}

var (
	general  = regexp.MustCompile(`^([ABCD]X|[SD]I|BP|SP|R\d+)[LWB]?$`)
	argument = regexp.MustCompile(`^(\$.+|\w+\+\d+\(FP\))$`)
	vector   = regexp.MustCompile(`^[XYZ]\d+$`)
	maskReg  = regexp.MustCompile(`^K\d$`)
	// On general registers alone.
	onGeneral = regexp.MustCompile(`^(MOV|ADD|SUB|DEC|INC|CMP|TEST|LEA|SHL|SHR|AND|XOR|NEG|BZHI|CMOV)[A-Z]*$`)
	// They leave in the flags, or take for an address, what a vector register holds.
	vectorLeak = regexp.MustCompile(`^V(PTEST|TESTP|U?COMIS|P?GATHER|P?SCATTER|MASKMOV)`)
)

// leaks says why an instruction could let data into a branch or an address, or nothing.
func leaks(line string) string {
	op, rest, _ := strings.Cut(line, " ")
	var args []string
	for a := range strings.SplitSeq(rest, ", ") {
		if a = strings.TrimSpace(a); a != "" {
			args = append(args, a)
		}
	}
	switch {
	case op == "RET", op == "VZEROUPPER", strings.HasPrefix(op, "J") && len(args) == 1:
		return ""
	case strings.HasPrefix(op, "KMOV"):
		if len(args) == 2 && general.MatchString(args[0]) && maskReg.MatchString(args[1]) {
			return ""
		}
		return "a mask is made of something else than a general register"
	case onGeneral.MatchString(op):
		for i, a := range args {
			address := strings.HasPrefix(op, "LEA") && i == 0
			if !general.MatchString(a) && !argument.MatchString(a) && !address {
				return "a general register meets memory or vectors"
			}
		}
		return ""
	case strings.HasPrefix(op, "V") && !vectorLeak.MatchString(op) && len(args) > 0:
		if to := args[len(args)-1]; !vector.MatchString(to) && !strings.HasSuffix(to, ")") {
			return "a vector register leaves for a general one, or for a mask"
		}
		return ""
	}
	return "an instruction that this test does not know"
}
