package topology

import (
	"errors"
	"slices"
	"strings"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// value is one TOML value with its place in the file.
type value struct {
	kind  unstable.Kind
	at    int     // byte offset
	text  string  // of a scalar, quotes and escapes resolved
	items []value // of an array
	table *table  // of an inline table
}

// field is a key and its value.
type field struct {
	key  string
	at   int // byte offset of the key
	val  value
	used bool // some decoder asked for it
}

// table is a TOML table in file order.
type table struct {
	at     int
	fields []field
	byKey  map[string]int // made with the first field
	full   bool           // more than maxKeys were given
}

// maxKeys bounds what one table may hold, far above what is known.
const maxKeys = 100

func newTable(at int) *table { return &table{at: at} }

// put adds a field. The second of two equal keys is a fault and is dropped,
// and so is what a table holds beyond maxKeys.
func (t *table) put(r *report, f field) {
	if i, twice := t.byKey[f.key]; twice {
		r.addf(f.at, "key %s is given twice in one table, first on line %d", quote(f.key), r.line(t.fields[i].at))
		return
	}
	if len(t.fields) == maxKeys {
		if !t.full {
			r.addf(f.at, "more than %d keys in one table", maxKeys)
		}
		t.full = true
		return
	}
	if t.byKey == nil {
		t.byKey = map[string]int{}
	}
	t.byKey[f.key] = len(t.fields)
	t.fields = append(t.fields, f)
}

// get returns the field called key and marks it known, or nil.
func (t *table) get(key string) *field {
	i, ok := t.byKey[key]
	if !ok {
		return nil
	}
	t.fields[i].used = true
	return &t.fields[i]
}

// document is the file cut into its top table and its named tables.
type document struct {
	top      *table
	sections map[string][]*table
}

// sectionNames are the tables a description may hold, each as [[name]].
var sectionNames = []string{"site", "node", "link", "preset", "policy"}

// readDocument cuts data into tables and reports what has no place in a
// description. It returns nil after a syntax error, which is then the only
// fault: what follows it cannot be read safely.
func readDocument(r *report) *document {
	doc := &document{top: newTable(0), sections: map[string][]*table{}}
	current := doc.top
	var p unstable.Parser
	p.Reset(r.data)
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.KeyValue:
			current.put(r, readField(r, e))
		case unstable.Table, unstable.ArrayTable:
			current = doc.open(r, e)
		}
	}
	if err := p.Error(); err != nil {
		r.syntax(&p, err)
		return nil
	}
	doc.takeInline(r)
	return doc
}

// open starts the table that a [name] or [[name]] line announces. The fields
// of a table without a place are read but go nowhere.
func (d *document) open(r *report, e *unstable.Node) *table {
	name, at := dottedKey(e.Key())
	t := newTable(at)
	switch {
	case !slices.Contains(sectionNames, name):
		r.addf(at, "unknown table %s; a description has %s", quote(name), "[["+strings.Join(sectionNames, "]], [[")+"]]")
		return t
	case e.Kind == unstable.Table:
		r.addf(at, "[%s] is written [[%s]], as there may be several", name, name)
	}
	d.sections[name] = append(d.sections[name], t)
	return t
}

// takeInline moves site = [{...}, {...}], which TOML holds equal to [[site]]
// tables, to where those are.
func (d *document) takeInline(r *report) {
	for _, name := range sectionNames {
		f := d.top.get(name)
		if f == nil {
			continue
		}
		if f.val.kind != unstable.Array {
			r.addf(f.at, "%s must be [[%s]] tables, not %s", name, name, kindWord(f.val.kind))
			continue
		}
		for _, v := range f.val.items {
			if v.table == nil {
				r.addf(v.at, "%s must be [[%s]] tables, not %s", name, name, kindWord(v.kind))
				continue
			}
			d.sections[name] = append(d.sections[name], v.table)
		}
	}
}

func readField(r *report, e *unstable.Node) field {
	key, at := dottedKey(e.Key())
	return field{key: key, at: at, val: readValue(r, e.Value(), at)}
}

// readValue copies a value out of the parser. The parser gives no place for
// arrays and inline tables; they take at, that of their key.
func readValue(r *report, n *unstable.Node, at int) value {
	v := value{kind: n.Kind, at: at}
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			v.items = append(v.items, readValue(r, it.Node(), at))
		}
	case unstable.InlineTable:
		v.table = newTable(at)
		for it := n.Children(); it.Next(); {
			v.table.put(r, readField(r, it.Node()))
		}
	default:
		v.text = string(n.Data)
		if n.Raw.Length > 0 {
			v.at = int(n.Raw.Offset)
		}
	}
	return v
}

func dottedKey(it unstable.Iterator) (name string, at int) {
	var parts []string
	for it.Next() {
		if len(parts) == 0 {
			at = int(it.Node().Raw.Offset)
		}
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, "."), at
}

// syntax records the error of the parser at its place.
func (r *report) syntax(p *unstable.Parser, err error) {
	at := wholeFile
	var where *unstable.ParserError
	if errors.As(err, &where) {
		// The highlight is a slice of the input, whose capacity ends with it.
		if off := cap(p.Data()) - cap(where.Highlight); off >= 0 && off <= len(r.data) {
			at = off
		}
	}
	r.addf(at, "TOML syntax: %s", err)
}

// conform lets the TOML decoder itself read a description without faults: it
// knows rules that the tables do not show, such as a number with a stray
// underscore.
func conform(r *report) {
	var tree map[string]any
	err := toml.Unmarshal(r.data, &tree)
	var where *toml.DecodeError
	switch {
	case errors.As(err, &where):
		line, col := where.Position()
		r.addf(r.offset(line, col), "TOML: %s", strings.TrimPrefix(where.Error(), "toml: "))
	case err != nil:
		r.addf(wholeFile, "TOML: %s", err)
	}
}

var kindWords = map[unstable.Kind]string{
	unstable.String: "a string", unstable.Bool: "a boolean", unstable.Float: "a number with a point",
	unstable.Integer: "a whole number", unstable.Array: "an array", unstable.InlineTable: "a table",
	unstable.LocalDate: "a date", unstable.LocalTime: "a time",
	unstable.LocalDateTime: "a date", unstable.DateTime: "a date",
}

func kindWord(k unstable.Kind) string {
	if w, ok := kindWords[k]; ok {
		return w
	}
	return "something else"
}
