// Package enrol lets nodes and applications (SAEs) in: a small private CA that
// makes their certificates, the directory of SAEs and of the pairs that may
// share key, and ready-made configuration for the clients that people own.
//
// The CA is for one network. It keeps no revocation list: an SAE is shut out by
// taking it out of the directory, which the gateways ask at every request, and a
// node by taking its links out of the network description. Certificates
// authenticate connections (computational security); they protect no key on the
// way between nodes.
package enrol

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/quantum-secure-cloud/qsc"
)

// MaxID is the length in bytes of the longest SAE ID: FortiGate takes no longer
// one.
const MaxID = 291

// CheckAppID says what is wrong with an SAE ID, or nil. ETSI GS QKD 014 leaves
// the format free; this refuses only what does not survive a certificate, a URL
// or a line of configuration. Errors: Invalid.
func CheckAppID(id qsc.AppID) error {
	s := string(id)
	switch {
	case s == "" || len(s) > MaxID:
		return invalid("an SAE ID has 1 to %d bytes, not %d", MaxID, len(s))
	case s == "*":
		return invalid("* stands for every SAE and cannot be the ID of one")
	case strings.TrimSpace(s) != s:
		return invalid("the SAE ID %q begins or ends with a space", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || r == '"' || r == '\\' {
			return invalid("the SAE ID %q holds a quote, a backslash or a character that is not printable text", s)
		}
	}
	return nil
}

// checkNodeID holds a node's ID to the form of the network description.
func checkNodeID(id qsc.NodeID) error {
	ok := id != "" && len(id) <= 63 && id[0] != '-'
	for _, c := range string(id) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return invalid("%q is no node ID: 1 to 63 of a-z, 0-9 and '-', not beginning with '-'", id)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return qsc.E("enrol", qsc.Invalid, "", format, args...)
}

// fileError gives the failure of a file operation its kind.
func fileError(op, name string, err error) error {
	kind := qsc.Other
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = qsc.NotFound
	case errors.Is(err, fs.ErrExist):
		kind = qsc.Exists
	case errors.Is(err, fs.ErrPermission):
		kind = qsc.Denied
	}
	return qsc.E("enrol."+op, kind, "", "%s: %w", name, err)
}

// writeFile puts text under a name so that a reader sees all of it or what was
// there before. Unless force is set a file that exists is kept (Exists).
func writeFile(name string, text []byte, perm fs.FileMode, force bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".enrol-*")
	if err != nil {
		return fileError("write", name, err)
	}
	defer os.Remove(f.Name()) // gone already when it was renamed
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(perm), f.Sync(), f.Close()); err != nil {
		return fileError("write", name, err)
	}
	if force {
		err = os.Rename(f.Name(), name)
	} else {
		err = os.Link(f.Name(), name) // unlike a rename, refuses an existing name
	}
	if err != nil {
		return fileError("write", name, err)
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fileError("write", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fileError("write", dir, err)
	}
	return nil
}
