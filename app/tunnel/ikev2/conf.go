package ikev2

import (
	"slices"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/vici"
)

// Bounds of a configuration file.
const (
	maxFile  = 256 << 10 // bytes
	maxDepth = 16        // sections in sections
)

// lists are the keys whose values swanctl cuts at commas.
var lists = []string{
	"local_addrs", "remote_addrs", "proposals", "esp_proposals", "ah_proposals", "local_ts", "remote_ts",
	"vips", "pools", "groups", "cert_policy",
}

// files are keys whose values swanctl replaces by a file's content.
var files = []string{"certs", "cacerts", "pubkeys"}

// Conn is a connection as swanctl.conf describes it.
type Conn struct {
	Name  string
	Child string // the child whose traffic the tunnel carries
	body  *vici.Section
}

// ParseConn reads one connection from the text of a swanctl.conf. child may be
// "" when the connection has only one. Two settings are added where they are
// not there: ppk_required = yes, so that no session comes up without a key of
// the network, and unique = never, so that a new session does not push out the
// old one before it is in use.
//
// Errors: Invalid with the line, NotFound for an unknown name, Unsupported for
// include, for section references and for certificates by file name.
func ParseConn(text []byte, name, child string) (*Conn, error) {
	root, err := parseConf(text)
	if err != nil {
		return nil, err
	}
	all := root.Section("connections")
	if all == nil || all.Section(name) == nil {
		return nil, qsc.E("ikev2.ParseConn", qsc.NotFound, "", "the file has no connections { %s { ... } }", name)
	}
	c := &Conn{Name: name, Child: child, body: all.Section(name)}
	if err := c.pickChild(); err != nil {
		return nil, err
	}
	if v := c.body.Get("version"); v != "" && v != "2" {
		return nil, qsc.E("ikev2.ParseConn", qsc.Unsupported, "", "connection %s has version = %s: RFC 8784 is of IKEv2; set version = 2", name, v)
	}
	c.body = with(c.body, "version", "2")
	for _, def := range [][2]string{{"ppk_required", "yes"}, {"unique", "never"}} {
		if c.body.Get(def[0]) == "" {
			c.body = with(c.body, def[0], def[1])
		}
	}
	return c, nil
}

func (c *Conn) pickChild() error {
	children := c.body.Section("children")
	var names []string
	if children != nil {
		for _, it := range children.Items {
			if it.Kind == vici.Nested {
				names = append(names, it.Name)
			}
		}
	}
	if c.Child == "" && len(names) == 1 {
		c.Child = names[0]
	}
	if !slices.Contains(names, c.Child) {
		return qsc.E("ikev2.ParseConn", qsc.NotFound, "", "connection %s has the children %q: name the one that carries the tunnel", c.Name, names)
	}
	return nil
}

// child returns the section of the tunnel's child.
func (c *Conn) child() *vici.Section { return c.body.Section("children").Section(c.Child) }

// message is the connection as load-conn takes it, with settings of the
// connection and of the child replaced.
func (c *Conn) message(conn, child map[string]string) *vici.Section {
	body := withAll(c.body, conn)
	if len(child) > 0 {
		children := withSection(body.Section("children"), c.Child, withAll(c.child(), child))
		body = withSection(body, "children", children)
	}
	return (&vici.Section{}).Put(c.Name, cutLists(body))
}

// with returns a copy of s in which name has that value.
func with(s *vici.Section, name, value string) *vici.Section {
	out := &vici.Section{Items: slices.DeleteFunc(slices.Clone(s.Items), func(it vici.Item) bool {
		return it.Kind == vici.Value && it.Name == name
	})}
	return out.Set(name, value)
}

func withAll(s *vici.Section, values map[string]string) *vici.Section {
	for name, value := range values {
		s = with(s, name, value)
	}
	return s
}

func withSection(s *vici.Section, name string, sub *vici.Section) *vici.Section {
	out := &vici.Section{Items: slices.Clone(s.Items)}
	for i, it := range out.Items {
		if it.Kind == vici.Nested && it.Name == name {
			out.Items[i].Sub = sub
		}
	}
	return out
}

// cutLists returns a copy in which the values of list keys are lists.
func cutLists(s *vici.Section) *vici.Section {
	out := &vici.Section{}
	for _, it := range s.Items {
		switch {
		case it.Kind == vici.Nested:
			out.Put(it.Name, cutLists(it.Sub))
		case slices.Contains(lists, it.Name):
			var values []string
			for v := range strings.SplitSeq(string(it.Text), ",") {
				if v = strings.TrimSpace(v); v != "" {
					values = append(values, v)
				}
			}
			out.SetList(it.Name, values...)
		default:
			out.Items = append(out.Items, it)
		}
	}
	return out
}

// parser reads strongSwan's configuration syntax.
type parser struct {
	text []byte
	at   int
	line int
}

func parseConf(text []byte) (*vici.Section, error) {
	p := &parser{text: text, line: 1}
	if len(text) > maxFile {
		return nil, p.fault("the file is larger than %d bytes", maxFile)
	}
	root := &vici.Section{}
	if err := p.section(root, 0); err != nil {
		return nil, err
	}
	return root, nil
}

func (p *parser) fault(format string, args ...any) error {
	args = append([]any{p.line}, args...)
	return qsc.E("ikev2.ParseConn", qsc.Invalid, "", "line %d: "+format, args...)
}

// space passes over blanks, newlines and comments and returns the next byte, 0
// at the end.
func (p *parser) space() byte {
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case '\n':
			p.line++
		case ' ', '\t', '\r':
		case '#':
			for p.at+1 < len(p.text) && p.text[p.at+1] != '\n' {
				p.at++
			}
		default:
			return c
		}
	}
	return 0
}

// section reads settings into s until its closing brace, or the end at depth 0.
func (p *parser) section(s *vici.Section, depth int) error {
	for {
		switch p.space() {
		case 0:
			if p.at < len(p.text) {
				return p.fault("a NUL byte: this is no text file")
			}
			if depth > 0 {
				return p.fault("the file ends inside a section: a } is missing")
			}
			return nil
		case '}':
			if depth == 0 {
				return p.fault("a } that closes nothing")
			}
			p.at++
			return nil
		}
		if err := p.setting(s, depth); err != nil {
			return err
		}
	}
}

// setting reads name = value or name { ... }.
func (p *parser) setting(s *vici.Section, depth int) error {
	name := p.word("{}=#:\"\n\r\t ")
	if name == "" || len(name) > 255 {
		return p.fault("a name of 1 to 255 characters is expected, then = or {")
	}
	switch c := p.space(); {
	case c == '=':
		p.at++
		return p.assign(s, name)
	case c == '{' && depth == maxDepth:
		return p.fault("more than %d sections in each other", maxDepth)
	case c == '{':
		p.at++
		sub := s.Section(name)
		if sub == nil {
			sub = &vici.Section{}
			s.Put(name, sub)
		}
		return p.section(sub, depth+1)
	case c == ':':
		return p.fault("%s refers to another section, which is not read here: write its settings out", name)
	case name == "include":
		return p.fault("include is not followed: give the file that holds the connection itself")
	}
	return p.fault("%s is followed by neither = nor {", name)
}

func (p *parser) word(end string) string {
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune(end, rune(p.text[p.at])) && p.text[p.at] != 0 {
		p.at++
	}
	return string(p.text[start:p.at])
}

func (p *parser) assign(s *vici.Section, name string) error {
	value, err := p.value()
	if err != nil {
		return err
	}
	if len(value) > 65535 {
		return p.fault("the value of %s is longer than 65535 bytes", name)
	}
	if slices.Contains(files, name) {
		return p.fault("%s names files, which only swanctl loads: leave it out here; charon picks the certificate by the id of the section", name)
	}
	*s = *with(s, name, value)
	return nil
}

// value reads the rest of the line, in quotes or without.
func (p *parser) value() (string, error) {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
	if p.at == len(p.text) || p.text[p.at] != '"' {
		return strings.TrimRight(p.word("{}#\n\""), " \t\r"), nil
	}
	p.at++
	var b strings.Builder
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case '"':
			p.at++
			return b.String(), nil
		case '\\':
			p.at++
			if p.at < len(p.text) {
				b.WriteByte(unescape(p.text[p.at]))
			}
		case '\n':
			p.line++
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fault("a quoted value without its end")
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
