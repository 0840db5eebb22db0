package enrol

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"golang.org/x/sys/unix"
)

// Edit changes a directory file through change, which is given its text and
// returns another, and is refused when that is no directory. The file is
// replaced in one step; a second Edit at the same time waits. A file that is not
// there begins empty. Everything that change leaves is kept to the byte.
func Edit(file string, change func(text []byte) ([]byte, error)) (*Snapshot, error) {
	unlock, err := lock(file)
	if err != nil {
		return nil, err
	}
	defer unlock()
	perm := fs.FileMode(0o644)
	if info, err := os.Stat(file); err == nil {
		perm = info.Mode().Perm()
	}
	text, err := readText(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := Parse(file, text); err != nil {
		return nil, err // a faulty file is mended by hand first
	}
	after, err := change(text)
	if err != nil {
		return nil, err
	}
	snap, err := Parse(file, after)
	if err != nil {
		return nil, err
	}
	return snap, writeFile(file, after, perm, true)
}

// lock keeps other Edits out, by a lock on a file beside the directory that the
// system drops when the process ends.
func lock(file string) (unlock func(), err error) {
	name := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fileError("Edit", name, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fileError("Edit", name, err)
	}
	return func() { _ = f.Close() }, nil
}

// AddSAE returns a change that appends an SAE and pairs. Errors: Exists.
func AddSAE(a SAE, pairs ...Pair) func([]byte) ([]byte, error) {
	return func(text []byte) ([]byte, error) {
		s, err := Parse("", text)
		if err != nil {
			return nil, err
		}
		if old, twice := s.saes[a.ID]; twice {
			return nil, qsc.E("enrol.AddSAE", qsc.Exists, "", "the SAE %q is on line %d already, at node %s", a.ID, old.line, old.Node)
		}
		out := bytes.Clone(text)
		if len(out) > 0 && out[len(out)-1] != '\n' {
			out = append(out, '\n')
		}
		out = append(out, blockText(len(out) > 0, "sae", [][2]string{
			{"id", str(string(a.ID))}, {"node", str(string(a.Node))}, {"fingerprint", str(a.Fingerprint)},
		})...)
		for _, p := range pairs {
			out = append(out, p.text()...)
		}
		return out, nil
	}
}

// AddPair returns a change that appends a pair.
func AddPair(p Pair) func([]byte) ([]byte, error) {
	return func(text []byte) ([]byte, error) {
		out := bytes.Clone(text)
		if len(out) > 0 && out[len(out)-1] != '\n' {
			out = append(out, '\n')
		}
		return append(out, p.text()...), nil
	}
}

func (p Pair) text() []byte {
	q := p.Policy
	values := [][2]string{{"master", str(string(p.Master))}, {"slave", str(string(p.Slave))}}
	add := func(name, value string, set bool) {
		if set {
			values = append(values, [2]string{name, value})
		}
	}
	add("paths", fmt.Sprint(q.Protection.Paths), q.Protection.Paths > 1)
	add("need", fmt.Sprint(q.Protection.Need), q.Protection.Need > 0 && q.Protection.Need < q.Protection.Paths)
	add("min", str(rateText(q.MinRate)), q.MinRate > 0)
	add("max", str(rateText(q.MaxRate)), q.MaxRate > 0)
	add("priority", fmt.Sprint(q.Priority), q.Priority != 0)
	add("ttl", str(q.TTL.String()), q.TTL > 0)
	add("retry", str(q.Retry.String()), q.Retry > 0)
	add("both_ways", "true", p.BothWays)
	return blockText(true, "pair", values)
}

func rateText(r qsc.BitRate) string {
	for _, u := range []struct {
		scale float64
		name  string
	}{{1e9, "Gbit/s"}, {1e6, "Mbit/s"}, {1e3, "kbit/s"}} {
		if n := float64(r) / u.scale; n >= 1 && n == float64(int64(n)) {
			return fmt.Sprintf("%d %s", int64(n), u.name)
		}
	}
	return strings.TrimSuffix(fmt.Sprintf("%.3f", float64(r)), ".000") + " bit/s"
}

// blockText writes a table; values that are an empty string are left out.
func blockText(space bool, name string, values [][2]string) []byte {
	var b bytes.Buffer
	if space {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "[[%s]]\n", name)
	for _, v := range values {
		if v[1] != `""` {
			fmt.Fprintf(&b, "%s = %s\n", v[0], v[1])
		}
	}
	return b.Bytes()
}

// str writes a TOML string. The IDs that CheckAppID passes need no escapes;
// others are refused when the text is read back.
func str(s string) string { return `"` + s + `"` }

// RemoveSAE returns a change that takes an SAE out, with the pairs that name it,
// the comments directly above them and nothing else. Errors: NotFound.
func RemoveSAE(id qsc.AppID) func([]byte) ([]byte, error) {
	return func(text []byte) ([]byte, error) {
		found := false
		out, err := removeBlocks(text, func(b block) bool {
			if b.name == "sae" && b.is("id", id) {
				found = true
				return true
			}
			return b.name == "pair" && (b.is("master", id) || b.is("slave", id))
		})
		if err == nil && !found {
			return nil, qsc.E("enrol.RemoveSAE", qsc.NotFound, "", "there is no SAE %q; `qsc sae ls` lists them", id)
		}
		return out, err
	}
}

// RemovePair returns a change that takes out the pair of exactly these two, in
// this order. Errors: NotFound.
func RemovePair(master, slave qsc.AppID) func([]byte) ([]byte, error) {
	return func(text []byte) ([]byte, error) {
		found := false
		out, err := removeBlocks(text, func(b block) bool {
			hit := b.name == "pair" && b.is("master", master) && b.is("slave", slave)
			found = found || hit
			return hit
		})
		if err == nil && !found {
			return nil, qsc.E("enrol.RemovePair", qsc.NotFound, "", "there is no pair from %q to %q", master, slave)
		}
		return out, err
	}
}

func (b block) is(name string, id qsc.AppID) bool {
	v := b.fields[name]
	return v != nil && v.text == string(id)
}

// removeBlocks returns text without the lines of the blocks that which picks.
func removeBlocks(text []byte, which func(block) bool) ([]byte, error) {
	r := readBlocks("", text)
	if err := r.err(); err != nil {
		return nil, err
	}
	lines := bytes.SplitAfter(text, []byte{'\n'})
	drop := make([]bool, len(lines)+1)
	for _, b := range r.blocks {
		if !which(b) {
			continue
		}
		first := b.line - 1
		for first > 0 && !drop[first-1] && bytes.HasPrefix(bytes.TrimSpace(lines[first-1]), []byte{'#'}) {
			first-- // a comment directly above is about this block
		}
		if first > 0 && !drop[first-1] && len(bytes.TrimSpace(lines[first-1])) == 0 {
			first-- // one empty line goes with it
		}
		for i := first; i < b.end; i++ {
			drop[i] = true
		}
	}
	var out [][]byte
	for i, l := range lines {
		if !drop[i] {
			out = append(out, l)
		}
	}
	return slices.Concat(out...), nil
}
