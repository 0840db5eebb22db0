// Package vici is a small client of strongSwan's control protocol, the
// Versatile IKE Control Interface, over the daemon's Unix socket.
//
// It frames packets, encodes messages, sends commands and collects the events a
// command streams. It knows no command's meaning (package ikev2 does) and passes
// over events nobody asked for.
package vici

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
)

// Bounds of the protocol.
const (
	MaxPacket = 512 << 10 // bytes, as the daemon's own
	maxDepth  = 32        // sections in sections
	maxName   = 255       // bytes
	maxValue  = 65535     // bytes
)

// The elements of a message, as numbered on the wire.
const (
	sectionStart = 1 + iota
	sectionEnd
	keyValue
	listStart
	listItem
	listEnd
)

// Kind says what an Item is.
type Kind uint8

// The kinds of item.
const (
	Value Kind = iota
	List
	Nested
)

// Item is a named value, list or section.
type Item struct {
	Name string
	Kind Kind
	Text []byte   // of a Value; may be binary
	List [][]byte // of a List
	Sub  *Section // of a Nested
}

// Section is a message or a part of one, in the order of the wire.
type Section struct{ Items []Item }

// Set appends a value.
func (s *Section) Set(name, value string) *Section {
	s.Items = append(s.Items, Item{Name: name, Text: []byte(value)})
	return s
}

// SetList appends a list.
func (s *Section) SetList(name string, values ...string) *Section {
	it := Item{Name: name, Kind: List}
	for _, v := range values {
		it.List = append(it.List, []byte(v))
	}
	s.Items = append(s.Items, it)
	return s
}

// Put appends a section.
func (s *Section) Put(name string, sub *Section) *Section {
	s.Items = append(s.Items, Item{Name: name, Kind: Nested, Sub: sub})
	return s
}

// Get returns the text of the first value of that name, "" when there is none.
func (s *Section) Get(name string) string {
	for _, it := range s.Items {
		if it.Kind == Value && it.Name == name {
			return string(it.Text)
		}
	}
	return ""
}

// GetList returns the first list of that name.
func (s *Section) GetList(name string) (values []string) {
	for _, it := range s.Items {
		if it.Kind == List && it.Name == name {
			for _, v := range it.List {
				values = append(values, string(v))
			}
			return values
		}
	}
	return nil
}

// Section returns the first section of that name, or nil.
func (s *Section) Section(name string) *Section {
	for _, it := range s.Items {
		if it.Kind == Nested && it.Name == name {
			return it.Sub
		}
	}
	return nil
}

// size returns the encoded length.
func (s *Section) size() (n int) {
	for _, it := range s.Items {
		n += 2 + len(it.Name)
		switch it.Kind {
		case Value:
			n += 2 + len(it.Text)
		case List:
			for _, v := range it.List {
				n += 3 + len(v)
			}
			n++
		case Nested:
			n += it.Sub.size() + 1
		}
	}
	return n
}

// encode appends a message to b, which has room for size more bytes. Errors:
// Invalid for what the wire cannot carry.
func (s *Section) encode(b []byte) ([]byte, error) {
	for _, it := range s.Items {
		if len(it.Name) > maxName || it.Name == "" {
			return nil, qsc.E("vici.Encode", qsc.Invalid, "", "a name of %d bytes; 1 to %d can be sent", len(it.Name), maxName)
		}
		var err error
		if b, err = it.encode(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (it Item) encode(b []byte) ([]byte, error) {
	switch it.Kind {
	case Value:
		return appendValue(appendName(append(b, keyValue), it.Name), it.Text)
	case List:
		b = appendName(append(b, listStart), it.Name)
		for _, v := range it.List {
			var err error
			if b, err = appendValue(append(b, listItem), v); err != nil {
				return nil, err
			}
		}
		return append(b, listEnd), nil
	}
	b, err := it.Sub.encode(appendName(append(b, sectionStart), it.Name))
	return append(b, sectionEnd), err
}

func appendName(b []byte, name string) []byte { return append(append(b, byte(len(name))), name...) }

func appendValue(b, v []byte) ([]byte, error) {
	if len(v) > maxValue {
		return nil, qsc.E("vici.Encode", qsc.Invalid, "", "a value of %d bytes; %d is the most", len(v), maxValue)
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...), nil
}

// decoder walks over a message.
type decoder struct{ b []byte }

// Decode reads a message; b is not kept. Errors: Corrupt.
func Decode(b []byte) (*Section, error) {
	d := decoder{b}
	s, err := d.section(0)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func broken(what string) error {
	return qsc.E("vici.Decode", qsc.Corrupt, "", "the daemon's message is not vici: %s", what)
}

// section reads up to the end of a section, or of the message at depth 0.
func (d *decoder) section(depth int) (*Section, error) {
	s := &Section{}
	for len(d.b) > 0 {
		kind := d.b[0]
		d.b = d.b[1:]
		if kind == sectionEnd {
			if depth == 0 {
				return nil, broken("an end without a section")
			}
			return s, nil
		}
		it, err := d.item(kind, depth)
		if err != nil {
			return nil, err
		}
		s.Items = append(s.Items, it)
	}
	if depth > 0 {
		return nil, broken("a section without an end")
	}
	return s, nil
}

func (d *decoder) item(kind byte, depth int) (it Item, err error) {
	if kind != keyValue && kind != listStart && kind != sectionStart {
		return it, broken("an unknown element")
	}
	name, err := d.take(1)
	if err != nil {
		return it, err
	}
	it.Name = string(name)
	switch kind {
	case keyValue:
		it.Text, err = d.value()
	case listStart:
		it.Kind = List
		it.List, err = d.list()
	case sectionStart:
		if depth == maxDepth {
			return it, broken("sections too deep")
		}
		it.Kind = Nested
		it.Sub, err = d.section(depth + 1)
	}
	return it, err
}

func (d *decoder) list() (list [][]byte, err error) {
	for len(d.b) > 0 {
		kind := d.b[0]
		d.b = d.b[1:]
		switch kind {
		case listEnd:
			return list, nil
		case listItem:
			v, err := d.value()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		default:
			return nil, broken("something else in a list")
		}
	}
	return nil, broken("a list without an end")
}

func (d *decoder) value() ([]byte, error) {
	v, err := d.take(2)
	return append([]byte{}, v...), err
}

// take returns bytes behind their length, which is prefix bytes long.
func (d *decoder) take(prefix int) ([]byte, error) {
	if len(d.b) < prefix {
		return nil, broken("cut short")
	}
	n := 0
	for _, c := range d.b[:prefix] {
		n = n<<8 | int(c)
	}
	d.b = d.b[prefix:]
	if len(d.b) < n {
		return nil, broken("cut short")
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v, nil
}
