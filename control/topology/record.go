package topology

import (
	"math"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
	qsc "github.com/quantum-secure-cloud/qsc"
)

// record reads the typed keys of one table. Every method that meets a fault
// reports it and returns the zero value and false, so that the reading goes on.
type record struct {
	*table
	r    *report
	what string // "site", for the text of faults
}

// want returns the field called key when it is there and of kind k. A field
// that is required and missing is a fault.
func (c record) want(key string, k unstable.Kind, required bool) (*field, bool) {
	f := c.get(key)
	if f == nil {
		if required {
			c.r.addf(c.at, "%s: missing key %q", c.what, key)
		}
		return nil, false
	}
	if f.val.kind != k {
		c.r.addf(f.val.at, "%s: %s must be %s, not %s", c.what, key, kindWord(k), kindWord(f.val.kind))
		return nil, false
	}
	return f, true
}

func (c record) has(key string) bool { _, ok := c.byKey[key]; return ok }

// place is where a fault about key points: its value, or else the table.
func (c record) place(key string) int {
	if i, ok := c.byKey[key]; ok {
		return c.fields[i].val.at
	}
	return c.at
}

// closeUnknown reports every key that nobody asked for.
func (c record) closeUnknown(known string) {
	for _, f := range c.fields {
		if !f.used {
			c.r.addf(f.at, "%s: unknown key %s; known keys are %s", c.what, quote(f.key), known)
		}
	}
}

const maxTitle = 200 // bytes

func (c record) title() string {
	f, ok := c.want("title", unstable.String, false)
	if !ok {
		return ""
	}
	if len(f.val.text) > maxTitle {
		c.r.addf(f.val.at, "%s: title is longer than %d bytes", c.what, maxTitle)
		return ""
	}
	if strings.IndexFunc(f.val.text, unicode.IsControl) >= 0 {
		c.r.addf(f.val.at, "%s: title must be one line without control characters", c.what)
		return ""
	}
	return f.val.text
}

// isID reports whether s has the form of an id: [a-z0-9][a-z0-9-]{0,62}.
func isID(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// id reads an id. It returns the text even when its form is at fault, so that
// references to it are not reported as well.
func (c record) id(key string, required bool) string {
	f, ok := c.want(key, unstable.String, required)
	if !ok {
		return ""
	}
	c.checkID(key, f.val)
	return f.val.text
}

func (c record) checkID(key string, v value) {
	if !isID(v.text) {
		c.r.addf(v.at, "%s: %s %s is not an id: 1 to 63 of a-z, 0-9 and '-', not beginning with '-'", c.what, key, quote(v.text))
	}
}

// ids reads an array of ids; places holds the offset of each.
func (c record) ids(key string) (ids []string, places []int, ok bool) {
	f, ok := c.want(key, unstable.Array, true)
	if !ok {
		return nil, nil, false
	}
	for _, v := range f.val.items {
		if v.kind != unstable.String {
			c.r.addf(v.at, "%s: %s must hold strings, not %s", c.what, key, kindWord(v.kind))
			ok = false
			continue
		}
		c.checkID(key, v)
		ids, places = append(ids, v.text), append(places, v.at)
	}
	return ids, places, ok
}

// integer reads a whole number in low..high.
func (c record) integer(key string, required bool, low, high int) (int, bool) {
	f, ok := c.want(key, unstable.Integer, required)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(f.val.text, "_", ""), 0, 64)
	if err != nil || n < int64(low) || n > int64(high) {
		c.r.addf(f.val.at, "%s: %s = %s is outside %d to %d", c.what, key, short(f.val.text), low, high)
		return 0, false
	}
	return int(n), true
}

// word reads one of a few words, or the first of them when the key is absent.
func (c record) word(key string, words ...string) string {
	f, ok := c.want(key, unstable.String, false)
	if !ok {
		return words[0]
	}
	if slices.Contains(words, f.val.text) {
		return f.val.text
	}
	c.r.addf(f.val.at, "%s: %s = %s is not one of %s", c.what, key, quote(f.val.text), strings.Join(words, ", "))
	return words[0]
}

// quantity reads a string with a unit. bare says that a whole number without
// a unit is understood too; a bare 0 always is.
func quantity[T int64 | float64 | qsc.BitRate](c record, key string, bare bool, parse func(string) (T, error)) (T, bool) {
	f := c.get(key)
	if f == nil {
		return 0, false
	}
	if f.val.kind == unstable.Integer {
		n, err := strconv.ParseInt(strings.ReplaceAll(f.val.text, "_", ""), 0, 64)
		if err == nil && (bare || n == 0) {
			return T(n), true
		}
	}
	if f.val.kind != unstable.String {
		c.r.addf(f.val.at, "%s: %s must be a string with a unit, not %s", c.what, key, kindWord(f.val.kind))
		return 0, false
	}
	v, err := parse(f.val.text)
	if err != nil {
		c.r.addf(f.val.at, "%s: %s: %s", c.what, key, cause(err))
		return 0, false
	}
	return v, true
}

// size reads an amount of bytes in low..high that is a multiple of low.
func (c record) size(key string, absent, low, high int64) (int64, bool) {
	if !c.has(key) {
		return absent, true
	}
	n, ok := quantity(c, key, true, ParseSize)
	if !ok {
		return 0, false
	}
	if n < low || n > high {
		c.r.addf(c.place(key), "%s: %s = %s is outside %s to %s", c.what, key, FormatSize(n), FormatSize(low), FormatSize(high))
		return 0, false
	}
	if n%low != 0 {
		c.r.addf(c.place(key), "%s: %s = %s is not a multiple of %s", c.what, key, FormatSize(n), FormatSize(low))
		return 0, false
	}
	return n, true
}

// location reads [latitude, longitude] in degrees.
func (c record) location() Location {
	f, ok := c.want("location", unstable.Array, false)
	if !ok {
		return Location{}
	}
	var deg []float64
	for _, v := range f.val.items {
		d, err := strconv.ParseFloat(strings.ReplaceAll(v.text, "_", ""), 64)
		if err != nil || (v.kind != unstable.Float && v.kind != unstable.Integer) {
			break
		}
		deg = append(deg, d)
	}
	// Written so that nan fails too.
	if len(f.val.items) != 2 || len(deg) != 2 || !(math.Abs(deg[0]) <= 90) || !(math.Abs(deg[1]) <= 180) {
		c.r.addf(f.at, "%s: location must be [latitude, longitude] in degrees, -90 to 90 and -180 to 180", c.what)
		return Location{}
	}
	return Location{deg[0], deg[1], true}
}

// address reads host:port with a host that others can dial. anyPort allows
// port 0, which lets the operating system choose.
func (c record) address(key string, anyPort bool) string {
	f, ok := c.want(key, unstable.String, false)
	if !ok {
		return ""
	}
	host, port, err := net.SplitHostPort(f.val.text)
	n, perr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || perr != nil || !isHost(host):
		c.r.addf(f.val.at, "%s: %s = %s is not host:port such as \"127.0.0.1:7101\"", c.what, key, quote(f.val.text))
	case n == 0 && !anyPort:
		c.r.addf(f.val.at, "%s: %s needs a port from 1 to 65535; leave the key out to have one picked", c.what, key)
	default:
		return f.val.text
	}
	return ""
}

func isHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(".-:%_", r))
	}) < 0
}

const maxDataPath = 200 // bytes

// dataPath reads a directory below the data directory of the network.
func (c record) dataPath(key, absent string) string {
	f, ok := c.want(key, unstable.String, false)
	if !ok {
		return absent
	}
	p := f.val.text
	if why := unsafePath(p); why != "" {
		c.r.addf(f.val.at, "%s: %s = %s %s", c.what, key, quote(p), why)
		return ""
	}
	return path.Clean(p)
}

// unsafePath says why p may not name a directory below the data directory, or
// returns "". The characters are those that every file system keeps apart.
func unsafePath(p string) string {
	switch {
	case p == "" || path.Clean(p) == ".":
		return "is the network's own data directory; name one below it"
	case len(p) > maxDataPath:
		return "is too long"
	case path.IsAbs(p):
		return "is absolute; give a path below the network's data directory"
	}
	if slices.Contains(strings.Split(p, "/"), "..") {
		return "leaves the network's data directory"
	}
	if strings.IndexFunc(p, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/", r))
	}) >= 0 {
		return "holds a character other than A-Z, a-z, 0-9, '.', '_', '-' and '/'"
	}
	return ""
}

func short(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
