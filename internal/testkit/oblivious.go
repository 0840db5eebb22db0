package testkit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"
	"testing"
)

// GoForm says how ObliviousGo is to read the package in whose directory the test runs.
type GoForm struct {
	Without []string          // files of other builds, and generators
	SetUp   []string          // files that make tables which hold no data
	Public  map[string]string // functions in which a uint64 is public, and why
}

// ObliviousGo fails the test unless a package's Go code shows by its form that it does
// not branch on data or take them for an index. Data are words of 64 bits, arrays and
// structs of them, as in the kernels; numbers and lengths are int, uint and bool. So it
// is enough that no uint64 is compared, divided, divided by, shifted by, converted to
// another type, or taken for an index.
func ObliviousGo(t testing.TB, form GoForm) {
	t.Helper()
	names, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fset, files := token.NewFileSet(), []*ast.File(nil)
	for _, e := range names {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || slices.Contains(form.Without, name) {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: lean{}, Error: func(error) {}} // other packages are not looked at
	_, _ = conf.Check("read", fset, files, info)
	o := oblivious{form, t, fset, info}
	for _, f := range files {
		if !slices.Contains(form.SetUp, fset.Position(f.Pos()).Filename) {
			for _, d := range f.Decls {
				o.declaration(d)
			}
		}
	}
}

// lean gives packages with the functions that take data and give data, as math/bits and
// gf128 have them.
type lean struct{}

func (lean) Import(path string) (*types.Package, error) {
	p := types.NewPackage(path, path[strings.LastIndexByte(path, '/')+1:])
	w := types.NewVar(0, p, "", types.Typ[types.Uint64])
	both := types.NewTuple(w, w)
	p.Scope().Insert(types.NewFunc(0, p, "Mul64", types.NewSignatureType(nil, nil, nil, both, both, false)))
	p.Scope().Insert(types.NewFunc(0, p, "Mul", types.NewSignatureType(nil, nil, nil, types.NewTuple(w, w, w, w), both, false)))
	p.MarkComplete()
	return p, nil
}

type oblivious struct {
	GoForm
	t    testing.TB
	fset *token.FileSet
	*types.Info
}

func (o oblivious) declaration(d ast.Decl) {
	fn, ok := d.(*ast.FuncDecl)
	if !ok || o.Public[fn.Name.Name] != "" {
		return
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.BinaryExpr:
			o.binary(x)
		case *ast.AssignStmt:
			if x.Tok == token.SHL_ASSIGN || x.Tok == token.SHR_ASSIGN || x.Tok == token.QUO_ASSIGN || x.Tok == token.REM_ASSIGN {
				o.not(x.Rhs[0], "shifts or divides")
			}
		case *ast.IndexExpr:
			o.not(x.Index, "is an index")
		case *ast.SliceExpr:
			o.not(x.Low, "is a bound")
			o.not(x.High, "is a bound")
		case *ast.SwitchStmt:
			o.not(x.Tag, "is switched on")
		case *ast.RangeStmt:
			if _, number := o.Types[x.X].Type.Underlying().(*types.Basic); number {
				o.not(x.X, "is counted to")
			}
		case *ast.CallExpr:
			o.call(x)
		}
		return true
	})
}

func (o oblivious) binary(x *ast.BinaryExpr) {
	switch x.Op {
	case token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
		o.not(x.X, "is compared")
		o.not(x.Y, "is compared")
	case token.QUO, token.REM:
		o.not(x.X, "is divided")
		o.not(x.Y, "divides")
	case token.SHL, token.SHR:
		o.not(x.Y, "shifts")
	}
}

// call looks at conversions, and at functions that are built in.
func (o oblivious) call(x *ast.CallExpr) {
	id, _ := x.Fun.(*ast.Ident)
	branches := id != nil && (id.Name == "min" || id.Name == "max" || id.Name == "make")
	if tv := o.Types[x.Fun]; tv.IsType() && !data(tv.Type) || branches {
		for _, arg := range x.Args {
			o.not(arg, "leaves the type of data")
		}
	}
}

// not reports an expression whose value is data.
func (o oblivious) not(x ast.Expr, how string) {
	if x == nil {
		return
	}
	tv, known := o.Types[x]
	if tv.Value == nil && !tv.IsType() && (!known || data(tv.Type)) {
		o.t.Errorf("%v: what may be an input bit %s: if it is public, say so in the test", o.fset.Position(x.Pos()), how)
	}
}

// data reports whether values of a type may hold input: words, and arrays and
// structs of them. What is not known may.
func data(t types.Type) bool {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Kind() == types.Uint64 || u.Kind() == types.Uint32 || u.Kind() == types.Uint8 || u.Kind() == types.Invalid
	case *types.Array:
		return data(u.Elem())
	case *types.Struct:
		for f := range u.Fields() {
			if data(f.Type()) {
				return true
			}
		}
	}
	return false
}
