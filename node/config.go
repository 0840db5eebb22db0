package node

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"

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
//
//	[tls]                         # of every door below: mutual, from one private CA
//	cert = "tls/node.pem"
//	key  = "tls/node.key"
//	ca   = "tls/ca.pem"
//
//	[kme]                         # doors for applications; one left out is not opened
//	etsi014  = "127.0.0.1:8443"
//	etsi004  = "127.0.0.1:25575"
//	skip     = "127.0.0.1:8444"
//	saes     = "../saes.toml"     # who may share key with whom
//	identity = "cn"               # where a certificate names its SAE: cn, uri, dns or fingerprint
//
//	[control]
//	buses  = ["127.0.0.1:4222"]   # where controllers listen; none: the node finds its own routes
//	controllers = ["tommo"]       # whose certificates a bus may show; none: any of the CA
//	listen = "127.0.0.1:4222"     # run a controller here, with its bus on this address
//	cluster = "127.0.0.1:6222"    # where the buses of the other controllers join this one
//	routes = ["127.0.0.1:6223"]   # and where theirs are
//	store  = "../control.db"      # what it keeps: a file, or a postgres:// URL
//	etsi015 = "127.0.0.1:8445"    # its northbound door: the nodes' certificates read,
//	operators = ["operator"]      # those with these names also install and remove paths
//
//	[quantum.koganei-otemachi]    # a link whose key this node distils
//	channel = "127.0.0.1:7301"    # its public channel: the link's first end listens there, the second calls
type Config struct {
	Node    qsc.NodeID `toml:"node"`
	Network string     `toml:"network"`
	Dir     string     `toml:"data"`
	Random  string     `toml:"random,omitempty"`
	TLS     TLS        `toml:"tls,omitempty"`
	KME     KME        `toml:"kme,omitempty"`
	Control Control    `toml:"control,omitempty"`

	Device  map[string]Device  `toml:"device,omitempty"`  // by link
	Quantum map[string]Quantum `toml:"quantum,omitempty"` // by link
}

// TLS names the files of this node's certificate and of the CA it trusts.
type TLS struct {
	Cert string `toml:"cert,omitempty"`
	Key  string `toml:"key,omitempty"`
	CA   string `toml:"ca,omitempty"`
}

// KME is what this node offers to applications. An empty address opens nothing.
type KME struct {
	ETSI014  string `toml:"etsi014,omitempty"`
	ETSI004  string `toml:"etsi004,omitempty"`
	SKIP     string `toml:"skip,omitempty"`
	SAEs     string `toml:"saes,omitempty"`
	Identity string `toml:"identity,omitempty"`
}

// Control is this node's part in the control of the network.
type Control struct {
	Buses       []string `toml:"buses,omitempty"`
	Controllers []string `toml:"controllers,omitempty"`
	Listen      string   `toml:"listen,omitempty"`
	Cluster     string   `toml:"cluster,omitempty"`
	Routes      []string `toml:"routes,omitempty"`
	Store       string   `toml:"store,omitempty"`
	ETSI015     string   `toml:"etsi015,omitempty"`
	Operators   []string `toml:"operators,omitempty"`
}

// maxConfig bounds a node's file in bytes.
const maxConfig = 1 << 20

// LoadConfig reads a node's file. Errors: NotFound, Invalid with line and column,
// or with every fault of its doors.
func LoadConfig(path string) (Config, error) {
	c, err := ReadConfig(path)
	if err != nil {
		return c, err
	}
	dir := filepath.Dir(path)
	if c.Dir == "" {
		c.Dir = "."
	}
	for _, p := range []*string{&c.Dir, &c.Network, &c.TLS.Cert, &c.TLS.Key, &c.TLS.CA, &c.KME.SAEs, &c.Control.Store} {
		if *p != "" && !isURL(*p) {
			*p = below(dir, *p)
		}
	}
	for link, d := range c.Device {
		for _, p := range []*string{&d.Cert, &d.Key, &d.CA, &d.File, &d.Events} {
			if *p != "" {
				*p = below(dir, *p)
			}
		}
		c.Device[link] = d
	}
	if err := c.check(); err != nil {
		return c, qsc.E("node.LoadConfig", qsc.Invalid, path, "%w", err)
	}
	return c, nil
}

// ReadConfig reads a node's file as it stands: paths stay relative to the file.
// Errors: NotFound, Invalid with line and column.
func ReadConfig(path string) (Config, error) {
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

// check lists every fault at once.
func (c Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	doors := map[string]string{
		"kme.etsi014": c.KME.ETSI014, "kme.etsi004": c.KME.ETSI004, "kme.skip": c.KME.SKIP,
		"control.listen": c.Control.Listen, "control.cluster": c.Control.Cluster, "control.etsi015": c.Control.ETSI015,
	}
	some := false
	for _, name := range slices.Sorted(maps.Keys(doors)) {
		some = some || doors[name] != ""
		if doors[name] == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(doors[name]); err != nil {
			bad("%s: %q is no host:port", name, doors[name])
		}
	}
	if some && (c.TLS.Cert == "" || c.TLS.Key == "" || c.TLS.CA == "") {
		bad(`every door needs the keys "cert", "key" and "ca" below [tls]: make them with "qsc ca"`)
	}
	if (c.KME.ETSI014 != "" || c.KME.ETSI004 != "" || c.KME.SKIP != "") && c.KME.SAEs == "" {
		bad(`[kme] needs "saes", the file of applications: make it with "qsc sae add"`)
	}
	if !slices.Contains([]string{"", "cn", "uri", "dns", "fingerprint"}, c.KME.Identity) {
		bad(`kme.identity: %q is none of cn, uri, dns and fingerprint`, c.KME.Identity)
	}
	if c.Control.Listen == "" && (c.Control.Store != "" || c.Control.ETSI015 != "" || c.Control.Cluster != "") {
		bad(`control.store, control.cluster and control.etsi015 belong to a controller: give it an address with control.listen`)
	}
	for _, link := range slices.Sorted(maps.Keys(c.Device)) {
		c.Device[link].check(link, bad)
	}
	for _, link := range slices.Sorted(maps.Keys(c.Quantum)) {
		if _, _, err := net.SplitHostPort(c.Quantum[link].Channel); err != nil {
			bad("quantum.%s: channel: %q is no host:port", link, c.Quantum[link].Channel)
		}
	}
	return errors.Join(errs...)
}

func below(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// Marshal writes the text of a node's file.
func (c Config) Marshal() ([]byte, error) {
	b, err := toml.Marshal(c)
	if err != nil {
		return nil, qsc.E("node.Config", qsc.Invalid, string(c.Node), "%w", err)
	}
	return b, nil
}

// Save writes the file that LoadConfig reads.
func (c Config) Save(path string) error {
	b, err := c.Marshal()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return qsc.E("node.Save", qsc.Invalid, path, "%w", err)
	}
	return nil
}
