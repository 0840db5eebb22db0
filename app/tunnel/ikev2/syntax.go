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

// files are keys whose values swanctl replaces by a file's content.
var files = []string{"certs", "cacerts", "pubkeys"}

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
