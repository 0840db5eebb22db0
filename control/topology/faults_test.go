package topology

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	qsc "github.com/quantum-secure-cloud/qsc"
)

var update = flag.Bool("update", false, "rewrite the golden listing")

// mark finds the expectations of a line: "#! a | b" faults on this line,
// "#@2 a" on line 2, "#@+1 a" on the next.
var mark = regexp.MustCompile(`#(!|@\+?\d+) (.*)$`)

type expectation struct {
	line int
	text string
}

func expectations(data []byte) []expectation {
	var want []expectation
	for i, text := range strings.Split(string(data), "\n") {
		m := mark.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		line := i + 1
		if m[1] != "!" {
			n, _ := strconv.Atoi(strings.TrimLeft(m[1], "@+"))
			if strings.Contains(m[1], "+") {
				n += line
			}
			line = n
		}
		for part := range strings.SplitSeq(m[2], " | ") {
			want = append(want, expectation{line, strings.TrimSpace(part)})
		}
	}
	return want
}

func faultsOf(t *testing.T, err error) Faults {
	t.Helper()
	var faults Faults
	if !errors.As(err, &faults) || !qsc.IsKind(err, qsc.Invalid) {
		t.Fatalf("want Faults of kind Invalid, got %v", err)
	}
	return faults
}

// Each file in testdata/faults says beside its lines which faults they hold.
// All must be reported, at that line, and no other.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.toml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files of faults: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(filepath.Base(file), data)
			matchFaults(t, faultsOf(t, err), expectations(data))
		})
	}
}

func matchFaults(t *testing.T, faults Faults, want []expectation) {
	t.Helper()
	for _, f := range faults {
		i := slices.IndexFunc(want, func(w expectation) bool { return w.line == f.Line && strings.Contains(f.Text, w.text) })
		if i < 0 {
			t.Errorf("unexpected: %s", f)
			continue
		}
		want = slices.Delete(want, i, i+1)
	}
	for _, w := range want {
		t.Errorf("line %d: no fault with %q", w.line, w.text)
	}
	if !slices.IsSortedFunc(faults, func(a, b Fault) int { return 1000*(a.Line-b.Line) + a.Col - b.Col }) {
		t.Errorf("not sorted by place:\n%v", faults)
	}
}

// The listing as an operator sees it.
func TestListingGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/faults/many.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse("many.toml", data)
	got := fmt.Sprintln(err)
	golden := "testdata/many.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestColumnsCountCharacters(t *testing.T) {
	_, err := Parse("f", []byte("name = \"a\"\nsite = [{id = \"仙台\"}, {id = \"b\", titel = \"x\"}]\nnode = [{id = \"b\"}]\n"))
	faults := faultsOf(t, err)
	if len(faults) != 2 || faults[0].Col != 15 || faults[1].Line != 2 || faults[1].Col != 33 {
		t.Errorf("%v", faults)
	}
}
