package qsc_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readDoc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var walkStop = regexp.MustCompile("(?m)^\\| \\d+ \\| `([^`]+)` \\| `([^`]+)` \\|")

// A walk that names what is not there any more leads nowhere.
func TestWalksNameWhatExists(t *testing.T) {
	there := map[string]bool{}
	for _, s := range load(t, false) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				there[s.dir+" "+funcName(f)] = true
			}
		}
	}
	walks, err := filepath.Glob("docs/walks/*.md")
	if err != nil || len(walks) == 0 {
		t.Fatalf("%d walks, error %v", len(walks), err)
	}
	for _, w := range walks {
		stops := walkStop.FindAllStringSubmatch(readDoc(t, w), -1)
		if len(stops) < 10 {
			t.Errorf("%s: %d stops found: has the form of its tables changed?", w, len(stops))
		}
		for _, stop := range stops {
			if !there[stop[1]+" "+stop[2]] {
				t.Errorf("%s: package %s has no %s: mend the walk", w, stop[1], stop[2])
			}
		}
	}
}

// funcName is "Func" or "Type.Method".
func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	recv := f.Recv.List[0].Type
	if star, ok := recv.(*ast.StarExpr); ok {
		recv = star.X
	}
	if id, ok := recv.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

var required = regexp.MustCompile(`(?m)^(?:require )?\t?([a-z0-9.]+\.[a-z]+/\S+) v\S+$`)

// Every module that is required directly and used has its line. (That all are
// used is go mod tidy's to say.)
func TestDependenciesAreDocumented(t *testing.T) {
	doc := readDoc(t, "docs/dependencies.md")
	for _, file := range []string{"go.mod", "tools/go.mod"} {
		modules := required.FindAllStringSubmatch(readDoc(t, file), -1)
		if len(modules) == 0 {
			t.Errorf("no requirement found in %s", file)
		}
		for _, m := range modules {
			if file == "go.mod" && !imported(t, m[1]) {
				continue
			}
			if !strings.Contains(doc, "| "+m[1]+" ") && !strings.Contains(doc, "| "+m[1]+", ") {
				t.Errorf("%s requires %s: give it a line in docs/dependencies.md, with its duty, licence and what would replace it", file, m[1])
			}
		}
	}
}

func imported(t *testing.T, mod string) bool {
	return slices.ContainsFunc(load(t, true), func(s source) bool {
		return slices.ContainsFunc(s.imports(), func(path string) bool { return under(path, mod) })
	})
}

// Every package stands in the architecture, but for those inside the binary.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	doc := readDoc(t, "docs/architecture.md")
	var dirs []string
	for _, s := range load(t, false) {
		if !slices.Contains(dirs, s.dir) {
			dirs = append(dirs, s.dir)
		}
	}
	for _, dir := range dirs {
		if dir == "." || under(dir, "cmd") || under(dir, "internal") {
			continue
		}
		if !strings.Contains(doc, "`"+dir+"`") {
			t.Errorf("package %s is not in the table of docs/architecture.md: say what it does and does not", dir)
		}
	}
}
