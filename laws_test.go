package qsc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The house laws are kept here: one file for each, and every failure says why
// the law is there and what to do instead. Laws 1 to 4 and 6 can be seen in the
// source and in what packages do; law 5 is tested where shares are released.

const module = "github.com/quantum-secure-cloud/qsc"

// source is one Go file of the module.
type source struct {
	path string // slash-separated, from the root
	dir  string // its directory, "." for the root
	test bool
	file *ast.File
}

var fileSet = token.NewFileSet()

// sources parses every Go file of the module once. Nested modules (tools) and
// files that no build takes in (generators) are left out.
var sources = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(path, d.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fileSet, path, nil, parser.ParseComments)
		if err != nil || generator(f) {
			return err
		}
		all = append(all, source{
			path: filepath.ToSlash(path), dir: filepath.ToSlash(filepath.Dir(path)),
			test: strings.HasSuffix(path, "_test.go"), file: f,
		})
		return nil
	})
	return all, err
})

func skipDir(path, name string) error {
	if path == "." {
		return nil
	}
	if name == "testdata" || name == "vendor" || name[0] == '.' || name[0] == '_' {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// generator reports whether the file is kept out of every build.
func generator(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() < f.Package && c.Text == "//go:build ignore" {
				return true
			}
		}
	}
	return false
}

// load returns all files, those of tests only if wanted.
func load(t *testing.T, tests bool) []source {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("%d Go files found: the laws look in the wrong place", len(all))
	}
	if tests {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(s source) bool { return s.test || testKit(s.dir) })
}

// testKit reports whether a package only serves tests: conformance kits
// (cloud/cloudtest) and internal/testkit.
func testKit(dir string) bool {
	last := dir[strings.LastIndexByte(dir, '/')+1:]
	return last == "testkit" || strings.HasSuffix(last, "test")
}

// imports returns the paths that s imports.
func (s source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

// nameOf returns the name by which s knows an imported package, "" when it does
// not import it.
func (s source) nameOf(path string) string {
	for _, spec := range s.file.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p != path {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path[strings.LastIndexByte(path, '/')+1:]
	}
	return ""
}

func at(n ast.Node) string { return fileSet.Position(n.Pos()).String() }

// under reports whether dir is tree or lies in it.
func under(dir, tree string) bool { return dir == tree || strings.HasPrefix(dir, tree+"/") }

// exceptions are named with their reasons; one that is not needed any more must
// go.
type exceptions struct {
	reasons map[string]string
	used    map[string]bool
}

func except(reasons map[string]string) exceptions {
	return exceptions{reasons, map[string]bool{}}
}

func (e exceptions) allow(key string) bool {
	_, ok := e.reasons[key]
	e.used[key] = e.used[key] || ok
	return ok
}

func (e exceptions) check(t *testing.T) {
	t.Helper()
	for key, reason := range e.reasons {
		if !e.used[key] {
			t.Errorf("the exception %q (%s) is not needed any more: remove it from the law", key, reason)
		}
	}
}
