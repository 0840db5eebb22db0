package etsi014

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/quantum-secure-cloud/qsc"
)

// once refuses a member that comes twice.
type once uint

func (o *once) see(s *scanner, bit uint, name []byte) {
	if *o&(1<<bit) != 0 {
		s.fail("member %q comes twice", name)
	}
	*o |= 1 << bit
}

// DecodeKeyRequest reads the body of Get key. null stands for an absent member;
// unknown members, members that come twice, wrong types and numbers below 1 are
// refused: an answer to a request that was not understood would cost key. What a
// Value refers to is b's memory. Error: Invalid, the text fit for the caller.
func DecodeKeyRequest(b []byte) (r KeyRequest, err error) {
	s := newScanner(b)
	var seen once
	s.object(func(name []byte) {
		bit := slices.Index(requestMembers, string(name))
		if bit < 0 {
			s.fail("unknown member %.64q in the key request", name)
			return
		}
		if seen.see(s, uint(bit), name); !s.null() {
			r.member(s, bit)
		}
	})
	return r, s.end()
}

var requestMembers = []string{"number", "size", "additional_slave_SAE_IDs", "extension_mandatory", "extension_optional"}

func (r *KeyRequest) member(s *scanner, which int) {
	switch which {
	case 0:
		r.Number = int(positive(s, "number"))
	case 1:
		r.Size = positive(s, "size")
	case 2:
		s.array(func() { r.Slaves = append(r.Slaves, slave(s, len(r.Slaves))) })
	case 3:
		r.Mandatory = extensions(s)
	case 4:
		r.Optional = extensions(s)
	}
}

func positive(s *scanner, name string) int64 {
	n := s.integer(name)
	if n == 0 {
		s.fail("%s shall be at least 1", name)
	}
	return n
}

func slave(s *scanner, n int) string {
	text := s.text()
	if len(text) == 0 || len(text) > MaxSAE || n >= MaxSlaves {
		s.fail("additional_slave_SAE_IDs shall be at most %d SAE IDs of 1 to %d bytes", MaxSlaves, MaxSAE)
	}
	return string(text)
}

// extensions reads an array of objects of name/value pairs.
func extensions(s *scanner) (list []Extension) {
	items := 0
	s.array(func() {
		if items++; items > MaxExtensions {
			s.fail("more than %d extension parameters", MaxExtensions)
		}
		s.object(func(name []byte) {
			e := Extension{string(name), s.value()}
			if len(list) == MaxExtensions || slices.ContainsFunc(list, func(x Extension) bool { return x.Name == e.Name }) {
				s.fail("extension %.64q comes twice, or there are more than %d", name, MaxExtensions)
			}
			list = append(list, e)
		})
	})
	return list
}

// DecodeKeyIDs reads the body of Get key with key IDs: at least one and at most
// limit of them, none twice. Error: Invalid.
func DecodeKeyIDs(b []byte, limit int) (ids []qsc.KeyID, err error) {
	s := newScanner(b)
	var seen once
	s.object(func(name []byte) {
		switch string(name) {
		case "key_IDs":
			seen.see(s, 0, name)
			s.array(func() { ids = append(ids, keyID(s, len(ids), limit)) })
		case "key_IDs_extension":
			seen.see(s, 1, name)
			s.value()
		default:
			s.fail("unknown member %.64q in the key IDs", name)
		}
	})
	if err := s.end(); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, fault("key_IDs shall name at least one key")
	}
	if twice(ids) {
		return nil, fault("a key_ID is named twice")
	}
	return ids, nil
}

// keyID reads one element of key_IDs.
func keyID(s *scanner, n, limit int) (id qsc.KeyID) {
	if n >= limit {
		s.fail("at most %d key_IDs in one request", limit)
	}
	var seen once
	s.object(func(name []byte) {
		switch string(name) {
		case "key_ID":
			seen.see(s, 0, name)
			var err error
			if id, err = ParseID(s.text()); err != nil && s.err == nil {
				s.err = err
			}
		case "key_ID_extension":
			seen.see(s, 1, name)
			s.value()
		default:
			s.fail("unknown member %.64q beside a key_ID", name)
		}
	})
	if seen&1 == 0 {
		s.fail("an element of key_IDs has no key_ID")
	}
	return id
}

func twice(ids []qsc.KeyID) bool {
	if len(ids) < 2 {
		return false
	}
	seen := make(map[qsc.KeyID]struct{}, len(ids))
	for _, id := range ids {
		seen[id] = struct{}{}
	}
	return len(seen) < len(ids)
}

// Append writes the request as JSON.
func (r *KeyRequest) Append(dst []byte) []byte {
	dst = append(dst, '{')
	start := len(dst)
	if r.Number != 0 {
		dst = strconv.AppendInt(append(dst, `"number":`...), int64(r.Number), 10)
	}
	if r.Size != 0 {
		dst = strconv.AppendInt(append(comma(dst, start), `"size":`...), r.Size, 10)
	}
	if len(r.Slaves) > 0 {
		dst = append(comma(dst, start), `"additional_slave_SAE_IDs":[`...)
		for i, id := range r.Slaves {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendText(dst, id)
		}
		dst = append(dst, ']')
	}
	dst = appendExtensions(dst, start, `"extension_mandatory":[`, r.Mandatory)
	return append(appendExtensions(dst, start, `"extension_optional":[`, r.Optional), '}')
}

func comma(dst []byte, start int) []byte {
	if len(dst) > start {
		return append(dst, ',')
	}
	return dst
}

func appendExtensions(dst []byte, start int, name string, list []Extension) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(comma(dst, start), name...)
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(append(dst, '{'), e.Name), ':')
		dst = append(append(dst, e.Value...), '}')
	}
	return append(dst, ']')
}

// appendText writes a JSON string.
func appendText(dst []byte, text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		return append(dst, `""`...)
	}
	return append(dst, b...)
}

// AppendKeyIDs writes the body of Get key with key IDs.
func AppendKeyIDs(dst []byte, ids []qsc.KeyID) []byte {
	dst = append(dst, `{"key_IDs":[`...)
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendID(append(dst, `{"key_ID":"`...), id), `"}`...)
	}
	return append(dst, `]}`...)
}
