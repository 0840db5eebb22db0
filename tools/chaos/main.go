// Chaos makes a copy of this module slow at random places, so that a test which takes an
// order or a moment for granted fails here and not on a loaded machine:
//
//	go run ./chaos DIR    # in tools/; DIR is a copy: its files are changed
//	cd DIR && CHAOS=1 go test ./...
//
// It inserts short random sleeps where a busy machine would stop a goroutine: where one
// starts, in the cases of a select and behind an unlock. CHAOS is how long they are: at
// 1 every fifth start waits for 0.1 s in the mean and every three-hundredth other place
// for 0.05 s; without it nothing waits. Tests whose own deadlines are tighter than that
// fail for it; tests on virtual time (testing/synctest) are left alone.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	module = "github.com/quantum-secure-cloud/qsc"
	delays = "internal/chaos" // the package that sleeps, below DIR
)

const sleeper = `// Package chaos sleeps at random.
package chaos

import (
	"math/rand/v2"
	"os"
	"strconv"
	"time"
)

var level, _ = strconv.ParseFloat(os.Getenv("CHAOS"), 64)

func sleep(p float64, mean time.Duration) {
	if level > 0 && rand.Float64() < p && time.Now().Year() > 2000 { // which a bubble of synctest begins with
		time.Sleep(time.Duration(rand.ExpFloat64() * level * float64(mean)))
	}
}

// Start delays a goroutine that starts.
func Start() { sleep(0.2, 100*time.Millisecond) }

// Late is f with such a delay.
func Late(f func()) func() { return func() { Start(); f() } }

// Point delays one that is under way.
func Point() { sleep(0.003, 50*time.Millisecond) }
`

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: chaos DIR"))
	}
	dir := os.Args[1]
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch rel, _ := filepath.Rel(dir, path); {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || rel == "tools" || rel == "its" || rel == filepath.FromSlash(delays)):
			return filepath.SkipDir // what computes has no one to wait for
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		return slow(path)
	})
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, delays), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, delays, "chaos.go"), []byte(sleeper), 0o644)
	}
	fail(err)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// slow puts delays into one file. Its lines keep their numbers.
func slow(path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if strings.Contains(string(src), "AllocsPerRun") { // a sleep is an allocation
		return nil
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, src, parser.ParseComments)
	if err != nil || ast.IsGenerated(file) || strings.HasPrefix(string(src), "//go:build ignore") {
		return err
	}
	e := edit{files: files}
	ast.Inspect(file, func(n ast.Node) bool { e.at(n); return true })
	if len(e.parts) == 0 {
		return nil
	}
	e.put(file.Name.End(), "; import chaos "+`"`+module+"/"+delays+`"`)
	return os.WriteFile(path, e.apply(src), 0o644)
}

// edit gathers what is inserted into a file.
type edit struct {
	files *token.FileSet
	parts []part
}

type part struct {
	offset int
	text   string
}

func (e *edit) put(at token.Pos, text string) {
	e.parts = append(e.parts, part{e.files.Position(at).Offset, text})
}

func (e *edit) at(n ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt: // go func() {…}(), go f(); one with arguments stays, for they are evaluated before
		if f, ok := n.Call.Fun.(*ast.FuncLit); ok {
			e.put(f.Body.Lbrace+1, " chaos.Start(); ")
		} else if len(n.Call.Args) == 0 {
			e.put(n.Call.Pos(), "chaos.Late(")
			e.put(n.Call.Fun.End(), ")")
		}
	case *ast.CallExpr: // wg.Go(func() {…}), group.Go(f)
		if s, ok := n.Fun.(*ast.SelectorExpr); !ok || s.Sel.Name != "Go" || len(n.Args) != 1 {
			return
		}
		if f, ok := n.Args[0].(*ast.FuncLit); ok {
			e.put(f.Body.Lbrace+1, " chaos.Start(); ")
		} else {
			e.put(n.Args[0].Pos(), "chaos.Late(")
			e.put(n.Args[0].End(), ")")
		}
	case *ast.CommClause:
		e.put(n.Colon+1, " chaos.Point(); ")
	case *ast.ExprStmt:
		c, ok := n.X.(*ast.CallExpr)
		if !ok {
			return
		}
		if s, ok := c.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "Unlock" || s.Sel.Name == "RUnlock") {
			e.put(n.End(), "; chaos.Point()")
		}
	}
}

// apply inserts the parts, the last first.
func (e *edit) apply(src []byte) []byte {
	slices.SortStableFunc(e.parts, func(a, b part) int { return b.offset - a.offset })
	for _, p := range e.parts {
		src = slices.Insert(src, p.offset, []byte(p.text)...)
	}
	return src
}
