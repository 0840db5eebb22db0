package etsi014

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"
)

// scanner reads strict JSON (RFC 8259) from b without copying it. The first fault
// sticks and stops every loop.
type scanner struct {
	b     []byte
	pos   int
	depth int
	err   error
}

func newScanner(b []byte) *scanner {
	s := &scanner{b: b}
	if !utf8.Valid(b) {
		s.fail("the text is not UTF-8")
	}
	return s
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fault(format, args...)
	}
}

func (s *scanner) malformed() { s.fail("malformed JSON at byte %d", s.pos) }

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.b) {
		switch c := s.b[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// take consumes c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.err != nil || s.peek() != c {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) expect(c byte) {
	if !s.take(c) && s.err == nil {
		s.malformed()
	}
}

// end checks that nothing follows.
func (s *scanner) end() error {
	if s.err == nil && s.peek() != 0 || s.pos < len(s.b) {
		s.malformed()
	}
	return s.err
}

// list calls item for every element between open and its counterpart.
func (s *scanner) list(open, shut byte, item func()) {
	s.expect(open)
	if s.depth++; s.depth > maxDepth {
		s.fail("JSON nested deeper than %d", maxDepth)
	}
	for first := true; s.err == nil && !s.take(shut); first = false {
		if !first {
			s.expect(',')
		}
		if s.err == nil {
			item()
		}
	}
	s.depth--
}

// object calls member with the name of every member, which then reads the value.
func (s *scanner) object(member func(name []byte)) {
	s.list('{', '}', func() {
		name := s.text()
		s.expect(':')
		if s.err == nil {
			member(name)
		}
	})
}

func (s *scanner) array(item func()) { s.list('[', ']', item) }

// text reads a string. Without escapes it is a view of the input.
func (s *scanner) text() []byte {
	s.expect('"')
	if s.err != nil {
		return nil
	}
	start := s.pos
	if n := bytes.IndexByte(s.b[start:], '"'); n >= 0 && plain(s.b[start:start+n]) {
		s.pos += n + 1
		return s.b[start : start+n]
	}
	for s.pos < len(s.b) {
		switch c := s.b[s.pos]; {
		case c == '"':
			s.pos++
			return s.unescape(s.b[start-1 : s.pos])
		case c < 0x20:
			s.malformed()
			return nil
		case c == '\\':
			s.pos += 2
		default:
			s.pos++
		}
	}
	s.malformed()
	s.pos = len(s.b)
	return nil
}

// plain reports whether a string has neither escapes nor control characters,
// eight bytes at a time: most of what is read is base64.
func plain(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		y := x ^ ones*'\\'
		if ((x-ones*0x20)&^x|(y-ones)&^y)&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < 0x20 || c == '\\' {
			return false
		}
	}
	return true
}

func (s *scanner) unescape(quoted []byte) []byte {
	var v string
	if json.Unmarshal(quoted, &v) != nil {
		s.malformed()
	}
	return []byte(v)
}

// null consumes a null if one comes next: an absent optional member.
func (s *scanner) null() bool {
	if s.err != nil || s.peek() != 'n' {
		return false
	}
	s.word("null")
	return true
}

func (s *scanner) word(w string) {
	if !bytes.HasPrefix(s.b[s.pos:], []byte(w)) {
		s.malformed()
		return
	}
	s.pos += len(w)
}

// integer reads a whole number from 0 to MaxInt.
func (s *scanner) integer(name string) int64 {
	text := s.number()
	if s.err != nil {
		return 0
	}
	v := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' || v > MaxInt {
			s.fail("%s shall be a whole number from 0 to %d", name, int64(MaxInt))
			return 0
		}
		v = v*10 + int64(c-'0')
	}
	if v > MaxInt {
		s.fail("%s shall be a whole number from 0 to %d", name, int64(MaxInt))
	}
	return v
}

// number reads a JSON number and returns its text.
func (s *scanner) number() []byte {
	s.peek()
	start := s.pos
	s.skip("-", 1)
	if s.digits() == 0 || s.pos-start > 1 && leadingZero(s.b[start:s.pos]) {
		s.malformed()
		return nil
	}
	if s.skip(".", 1) == 1 && s.digits() == 0 {
		s.malformed()
	}
	if s.skip("eE", 1) == 1 {
		s.skip("+-", 1)
		if s.digits() == 0 {
			s.malformed()
		}
	}
	return s.b[start:s.pos]
}

func leadingZero(n []byte) bool {
	if n[0] == '-' {
		n = n[1:]
	}
	return len(n) > 1 && n[0] == '0'
}

func (s *scanner) digits() int { return s.skip("0123456789", len(s.b)) }

// skip consumes up to limit bytes of the set and returns how many.
func (s *scanner) skip(set string, limit int) int {
	n := 0
	for s.err == nil && n < limit && s.pos < len(s.b) && bytes.IndexByte([]byte(set), s.b[s.pos]) >= 0 {
		s.pos++
		n++
	}
	return n
}

// value reads any value and returns its text.
func (s *scanner) value() []byte {
	if s.err != nil {
		return nil
	}
	c := s.peek()
	start := s.pos
	switch {
	case c == '{':
		s.object(func([]byte) { s.value() })
	case c == '[':
		s.array(func() { s.value() })
	case c == '"':
		s.text()
	case c == 't':
		s.word("true")
	case c == 'f':
		s.word("false")
	case c == 'n':
		s.word("null")
	default:
		s.number()
	}
	if s.err != nil {
		return nil
	}
	return s.b[start:s.pos]
}
