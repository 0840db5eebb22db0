package crash

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
)

// version is one content that a name may have; the zero version is none.
type version struct {
	id   uint32
	size int
}

func (v version) bytes() []byte { return content(v.id, v.size) }

func (v version) String() string {
	if v == (version{}) {
		return "absent"
	}
	return fmt.Sprintf("file %08x of %d bytes", v.id, v.size)
}

// model knows what every name may hold. An acknowledged operation leaves one
// possibility; one that failed may have happened or not.
type model struct {
	mu    sync.Mutex
	names map[string][]version
}

func newModel() *model { return &model{names: map[string][]version{}} }

func (m *model) get(name string) []version {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.names[name]; len(v) > 0 {
		return v
	}
	return []version{{}}
}

// settle says that a name holds one version now.
func (m *model) settle(name string, v version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names[name] = []version{v}
}

// doubt says that a name may hold v as well.
func (m *model) doubt(name string, v version) {
	old := m.get(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names[name] = append(append([]version(nil), old...), v)
}

// mayBeAbsent reports whether there need be no such object.
func (m *model) mayBeAbsent(name string) bool {
	return slices.Contains(m.get(name), (version{}))
}

func (m *model) mayBeThere(name string) bool {
	for _, v := range m.get(name) {
		if v != (version{}) {
			return true
		}
	}
	return false
}

// match finds the version that the bytes from offset on belong to. whole says
// that there were all of them, up to length.
func (m *model) match(name string, got []byte, offset, length int, whole bool) (version, bool) {
	for _, v := range m.get(name) {
		if v == (version{}) || offset > v.size {
			continue
		}
		end := v.size
		if length >= 0 {
			end = min(end, offset+length)
		}
		want := v.bytes()[offset:end]
		if bytes.Equal(got, want) || !whole && bytes.HasPrefix(want, got) {
			return v, true
		}
	}
	return version{}, false
}

func (m *model) list() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for name := range m.names {
		all = append(all, name)
	}
	return all
}
