package enrol

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/quantum-secure-cloud/qsc"
)

// MaxFile bounds a directory file, in bytes.
const MaxFile = 16 << 20

const (
	maxFaults = 100     // that are listed
	maxParts  = 100_000 // commas, points and braces: none belongs in a directory beyond IDs
)

// Fault is one thing wrong in a directory file.
type Fault struct {
	File string
	Line int // from 1; 0: the whole file
	Text string
}

// String prints "file:line: text".
func (f Fault) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

// Faults is all that is wrong, by line.
type Faults []Fault

// Error prints one fault per line.
func (fs Faults) Error() string {
	var b strings.Builder
	for i, f := range fs {
		if i == maxFaults {
			fmt.Fprintf(&b, "and %d more", len(fs)-i)
			break
		}
		b.WriteString(f.String() + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// scalar is a value with its line.
type scalar struct {
	kind unstable.Kind
	text string
	line int
	used bool
}

// block is one [[name]] table.
type block struct {
	name   string
	line   int // of its header
	end    int // of its last value, or its header
	fields map[string]*scalar
}

// reader cuts a file into blocks and collects faults.
type reader struct {
	file   string
	data   []byte
	starts []int // offset of each line
	blocks []block
	faults Faults
}

func (r *reader) addf(line int, format string, args ...any) {
	r.faults = append(r.faults, Fault{r.file, line, fmt.Sprintf(format, args...)})
}

// err returns all faults as one error of kind Invalid, or nil.
func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Line - b.Line })
	return qsc.E("enrol.Parse", qsc.Invalid, "", "the directory of SAEs has faults (%d):\n%w", len(r.faults), r.faults)
}

func (r *reader) line(offset int) int {
	i, exact := slices.BinarySearch(r.starts, offset)
	if exact {
		i++
	}
	return i
}

// readBlocks reads data, or reports why it is no text for the TOML parser.
func readBlocks(file string, data []byte) *reader {
	r := &reader{file: file, data: slices.Clip(data), starts: []int{0}}
	for i, c := range data {
		if c == '\n' {
			r.starts = append(r.starts, i+1)
		}
	}
	parts := bytes.Count(data, []byte{'{'}) + bytes.Count(data, []byte{'['})/4 + bytes.Count(data, []byte{','})
	switch {
	case len(data) > MaxFile:
		r.addf(0, "the file is larger than %d MiB", MaxFile>>20)
	case parts > maxParts:
		r.addf(0, "more than %d brackets and commas", maxParts)
	case bytes.IndexByte(data, 0) >= 0:
		r.addf(r.line(bytes.IndexByte(data, 0)), "a NUL byte: this is no text file")
	case !utf8.Valid(data):
		r.addf(0, "the text is not UTF-8")
	default:
		r.cut()
	}
	return r
}

// cut walks over the TOML expressions.
func (r *reader) cut() {
	var p unstable.Parser
	p.Reset(r.data)
	placed := false
	for p.NextExpression() {
		e := p.Expression()
		name, line := r.name(e)
		switch e.Kind {
		case unstable.ArrayTable, unstable.Table:
			placed = r.open(name, line, e.Kind)
		case unstable.KeyValue:
			switch {
			case len(r.blocks) == 0:
				r.addf(line, "%s stands before the first [[sae]] or [[pair]]", quote(name))
			case placed:
				r.put(name, line, e.Value())
			}
		}
	}
	if err := p.Error(); err != nil {
		r.faults = nil // what was read before may be misread
		r.syntax(&p, err)
		return
	}
	if len(r.faults) == 0 {
		r.conform()
	}
}

func (r *reader) name(e *unstable.Node) (string, int) {
	var parts []string
	line := 0
	for it := e.Key(); it.Next(); {
		if line == 0 {
			line = r.line(int(it.Node().Raw.Offset))
		}
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, "."), line
}

func (r *reader) open(name string, line int, kind unstable.Kind) bool {
	if name != "sae" && name != "pair" {
		r.addf(line, "unknown table %s; a directory has [[sae]] and [[pair]]", quote(name))
		r.blocks = append(r.blocks, block{})
		return false
	}
	if kind == unstable.Table {
		r.addf(line, "[%s] is written [[%s]], as there may be several", name, name)
	}
	r.blocks = append(r.blocks, block{name: name, line: line, end: line, fields: map[string]*scalar{}})
	return true
}

func (r *reader) put(name string, line int, v *unstable.Node) {
	b := &r.blocks[len(r.blocks)-1]
	b.end = line
	if v.Kind == unstable.String && v.Raw.Length > 0 { // a string may span lines
		b.end = max(line, r.line(int(v.Raw.Offset+v.Raw.Length)-1))
	}
	if old := b.fields[name]; old != nil {
		r.addf(line, "%s is given twice, first on line %d", quote(name), old.line)
		return
	}
	b.fields[name] = &scalar{kind: v.Kind, text: string(v.Data), line: line}
}

// syntax records where the grammar was left.
func (r *reader) syntax(p *unstable.Parser, err error) {
	line := 0
	var where *unstable.ParserError
	if errors.As(err, &where) {
		// The highlight is a slice of the input, whose capacity ends with it.
		if off := cap(p.Data()) - cap(where.Highlight); off >= 0 && off <= len(r.data) {
			line = r.line(off)
		}
	}
	r.addf(line, "TOML syntax: %s", err)
}

// conform lets the TOML decoder itself read the file: it knows rules that the
// expressions do not show.
func (r *reader) conform() {
	var tree map[string]any
	err := toml.Unmarshal(r.data, &tree)
	var where *toml.DecodeError
	switch {
	case errors.As(err, &where):
		line, _ := where.Position()
		r.addf(line, "TOML: %s", strings.TrimPrefix(where.Error(), "toml: "))
	case err != nil:
		r.addf(0, "TOML: %s", err)
	}
}

// quote shows a piece of the file safely and shortly.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}
