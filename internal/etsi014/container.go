package etsi014

import (
	"encoding/base64"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

const (
	openContainer  = `{"keys":[`
	openKey        = `{"key_ID":"`
	openText       = `","key":"`
	openExtension  = `,"key_extension":`
	openContainerX = `,"key_container_extension":`
)

// AppendContainer writes a key container straight from the key bytes, n ids and
// n × size bytes. each is the JSON object that goes with every key, whole that of
// the container; nil leaves them out. The caller wipes what it gets back once it
// is sent; dst grows at most once, before the first key byte is written.
func AppendContainer(dst []byte, ids []qsc.KeyID, size int, keys []byte, each, whole []byte) []byte {
	dst = slices.Grow(dst, containerLen(len(ids), size, len(each), len(whole)))
	dst = append(dst, openContainer...)
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendID(append(dst, openKey...), id)
		dst = append(dst, openText...)
		dst = append(base64.StdEncoding.AppendEncode(dst, keys[i*size:(i+1)*size]), '"')
		if each != nil {
			dst = append(append(dst, openExtension...), each...)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if whole != nil {
		dst = append(append(dst, openContainerX...), whole...)
	}
	return append(dst, '}')
}

// containerLen bounds the length of the JSON text.
func containerLen(n, size, each, whole int) int {
	one := len(openKey) + idLen + len(openText) + base64.StdEncoding.EncodedLen(size) + len(`"},`) + len(openExtension) + each
	return len(openContainer) + n*one + len(`]}`) + len(openContainerX) + whole
}

// DecodeContainer reads a key container of any KME, at most limit keys. All keys
// must be of one length. Members it does not know are passed over, and "Keys" is
// taken for "keys", as the standard's table prints it. Error: Corrupt.
func DecodeContainer(b []byte, limit int) (*Container, error) {
	s := newScanner(b)
	c := &Container{}
	raw := make([]byte, 0, len(b)/4*3+3) // never grows: base64 takes four bytes for three
	s.object(func(name []byte) {
		switch string(name) {
		case "keys", "Keys":
			s.array(func() { raw = c.key(s, raw, limit) })
		case "key_container_extension":
			c.Extension = slices.Clone(s.value())
		default:
			s.value()
		}
	})
	c.Bytes = qsc.NewSecret(raw)
	err := s.end()
	if err == nil && len(c.IDs) == 0 {
		err = fault("the container holds no key")
	}
	if err == nil && twice(c.IDs) {
		err = fault("a key_ID comes twice")
	}
	if err != nil {
		c.Bytes.Zeroise()
		return nil, qsc.E("etsi014.Decode", qsc.Corrupt, "", "the KME's key container cannot be used: %w", err)
	}
	return c, nil
}

// key reads one element of keys and appends its bytes to raw.
func (c *Container) key(s *scanner, raw []byte, limit int) []byte {
	if len(c.IDs) >= limit {
		s.fail("more than %d keys", limit)
		return raw
	}
	var seen once
	start := len(raw)
	s.object(func(name []byte) {
		switch string(name) {
		case "key_ID":
			seen.see(s, 0, name)
			id, err := ParseID(s.text())
			if err != nil && s.err == nil {
				s.err = err
			}
			c.IDs = append(c.IDs, id)
		case "key":
			seen.see(s, 1, name)
			raw = appendKey(s, raw)
		default:
			s.value()
		}
	})
	n := len(raw) - start
	switch {
	case s.err != nil:
	case seen != 3 || n == 0:
		s.fail("a key without ID or bytes")
	case c.Size == 0:
		c.Size = n
	case c.Size != n:
		s.fail("keys of different lengths in one container")
	}
	return raw
}

func appendKey(s *scanner, raw []byte) []byte {
	text := s.text()
	if s.err != nil {
		return raw
	}
	room := raw[len(raw):cap(raw)]
	if base64.StdEncoding.DecodedLen(len(text)) > len(room) {
		s.fail("a key is longer than its message")
		return raw
	}
	n, err := base64.StdEncoding.Strict().Decode(room, text)
	if err != nil {
		clear(room)
		s.fail("a key is not base64")
		return raw
	}
	return raw[:len(raw)+n]
}
