package topology

import (
	"embed"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	qsc "github.com/quantum-secure-cloud/qsc"
)

//go:embed global.toml tohoku.toml tokyo-simulated.toml tokyo.toml
var builtins embed.FS

// written are the built-in networks that people wrote.
var written = []string{"global", "tohoku", "tokyo", "tokyo-simulated"}

// Builtins returns the names of the networks that come with the program. Those
// that are generated are made when they are asked for, and so is any other
// "backbone-N" and "metro-N" of N nodes.
func Builtins() []string { return append(slices.Clone(written), "backbone-100", "backbone-1000") }

// Source returns the text of a built-in network as it was written, comments
// included, or as it was generated, or nil when there is none of that name.
func Source(name string) []byte {
	if slices.Contains(written, name) {
		text, _ := builtins.ReadFile(name + ".toml")
		return text
	}
	if n, ok := generated(name); ok {
		return n.Marshal()
	}
	return nil
}

// builtin returns the built-in network of that name.
func builtin(name string) (*Network, bool, error) {
	if slices.Contains(written, name) {
		n, err := Parse(name, Source(name))
		return n, true, err
	}
	n, ok := generated(name)
	return n, ok, nil
}

// Load reads the file of that name or, when there is no such file, the
// built-in network of that name. Errors: NotFound when there is neither,
// Invalid with Faults as from Parse, Denied or Other when the file cannot be
// read.
func Load(fileOrBuiltin string) (*Network, error) {
	info, err := os.Stat(fileOrBuiltin)
	isFile := err == nil && !info.IsDir()
	if !isFile {
		if n, ok, err := builtin(fileOrBuiltin); ok {
			return n, err
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, qsc.E("topology.Load", qsc.NotFound, "",
			"there is no file %s and no built-in network of that name; built in: %s", quote(fileOrBuiltin), strings.Join(Builtins(), ", "))
	case err != nil:
		return nil, openError(err)
	case !isFile:
		return nil, qsc.E("topology.Load", qsc.Invalid, "", "%s is a directory; give the network's file", quote(fileOrBuiltin))
	}
	data, err := readFile(fileOrBuiltin)
	if err != nil {
		return nil, openError(err)
	}
	return Parse(fileOrBuiltin, data)
}

// readFile reads a file up to one byte beyond MaxFile, which Parse then
// refuses.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}

func openError(err error) error {
	kind := qsc.Other
	if errors.Is(err, fs.ErrPermission) {
		kind = qsc.Denied
	}
	return qsc.E("topology.Load", kind, "", "cannot read the network description: %w", err)
}
