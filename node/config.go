package node

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

	"github.com/quantum-secure-cloud/qsc"
)

// Config is one trusted node. In its file, TOML, relative paths are relative to
// the file:
//
//	node    = "tommo"             # required: the node's id in the network description
//	network = "../network.toml"   # required: the network description
//	data    = "."                 # the node's directory; default: the file's own
//	random  = "pool"              # the file of physical random bytes, below data; default "pool"
type Config struct {
	Node    qsc.NodeID `toml:"node"`
	Network string     `toml:"network"`
	Dir     string     `toml:"data"`
	Random  string     `toml:"random,omitempty"`
}

// maxConfig bounds a node's file in bytes.
const maxConfig = 1 << 20

// LoadConfig reads a node's file. Errors: NotFound, Invalid with line and column.
func LoadConfig(path string) (Config, error) {
	var c Config
	b, err := os.ReadFile(path)
	if err != nil {
		return c, qsc.E("node.LoadConfig", qsc.NotFound, path, "%w", err)
	}
	if len(b) > maxConfig {
		return c, qsc.E("node.LoadConfig", qsc.Invalid, path, "%d bytes are no node's file", len(b))
	}
	if err := decodeConfig(b, &c); err != nil {
		return c, qsc.E("node.LoadConfig", qsc.Invalid, path, "%w", err)
	}
	dir := filepath.Dir(path)
	if c.Dir == "" {
		c.Dir = "."
	}
	c.Dir, c.Network = below(dir, c.Dir), below(dir, c.Network)
	return c, nil
}

func decodeConfig(b []byte, c *Config) error {
	d := toml.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return describe(err)
	}
	if c.Node == "" || c.Network == "" {
		return qsc.E("", qsc.Invalid, "", `the keys "node" and "network" are required`)
	}
	return nil
}

func below(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// Save writes the file that LoadConfig reads.
func (c Config) Save(path string) error {
	b, err := toml.Marshal(c)
	if err != nil {
		return qsc.E("node.Save", qsc.Invalid, path, "%w", err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return qsc.E("node.Save", qsc.Invalid, path, "%w", err)
	}
	return nil
}
