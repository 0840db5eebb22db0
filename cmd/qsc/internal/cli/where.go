package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

const defaultNetwork = "tohoku"

// dataHome is where networks keep their data when nobody says otherwise, by the
// XDG base directory specification.
func dataHome() (string, error) {
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "qsc"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", qsc.E("", qsc.Invalid, "", "there is no home directory to keep data in: name one with --data")
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "qsc"), nil
	}
	return filepath.Join(home, ".local", "share", "qsc"), nil
}

func shownDataHome() string {
	if runtime.GOOS == "darwin" {
		return "~/Library/Application Support/qsc"
	}
	return "~/.local/share/qsc"
}

// place is one network in one data directory.
type place struct {
	dir string
	net *node.Network // as resolved there
}

// find returns the network that a command is meant for: the one named by --data
// or $QSC_DATA, or by --network or $QSC_NETWORK, or the only one that is up, or
// the default one.
func (a *app) find() (*place, error) {
	if dir := first(a.data, os.Getenv("QSC_DATA")); dir != "" {
		return open(dir)
	}
	home, err := dataHome()
	if err != nil {
		return nil, err
	}
	if name := first(a.network, os.Getenv("QSC_NETWORK")); name != "" {
		net, err := node.LoadNetwork(name)
		if err != nil {
			return nil, err
		}
		return open(filepath.Join(home, net.Name))
	}
	up := running(home)
	switch len(up) {
	case 0:
		return open(filepath.Join(home, defaultNetwork))
	case 1:
		return up[0], nil
	}
	var dirs []string
	for _, p := range up {
		dirs = append(dirs, p.dir)
	}
	return nil, qsc.E("", qsc.Invalid, "", "several networks are up: choose one with --data: %s", strings.Join(dirs, ", "))
}

func open(dir string) (*place, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, qsc.E("", qsc.Invalid, "", "%w", err)
	}
	file := filepath.Join(abs, fleet.NetworkFile)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, qsc.E("", qsc.NotFound, "", "no network is up, and there is none in %s: start one (qsc up), or name its directory (--data)", abs)
	}
	net, err := node.LoadNetwork(file)
	if err != nil {
		return nil, err
	}
	return &place{dir: abs, net: net}, nil
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

func (p *place) nodeDir(id qsc.NodeID) (string, error) { return node.Dir(p.net, p.dir, id) }

func (p *place) client(id qsc.NodeID) (*admin.Client, error) {
	dir, err := p.nodeDir(id)
	if err != nil {
		return nil, err
	}
	return admin.NewClient(dir), nil
}

// homes are the nodes that take files, that of the default policy first.
func (p *place) homes() []qsc.NodeID {
	var ids []qsc.NodeID
	if d, ok := p.net.Policy(""); ok {
		ids = append(ids, d.Home)
	}
	for _, q := range p.net.Policies {
		if !slices.Contains(ids, q.Home) {
			ids = append(ids, q.Home)
		}
	}
	return ids
}

const dialTime = 2 * time.Second

// up reports whether some node of the network runs on this machine.
func (p *place) up() bool {
	for _, n := range p.net.Nodes {
		dir, err := p.nodeDir(n.ID)
		if err != nil {
			return false
		}
		if sock, err := admin.SocketPath(dir); err == nil && answers(sock) {
			return true
		}
	}
	return false
}

func answers(sock string) bool {
	c, err := net.DialTimeout("unix", sock, dialTime)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// Networks that are up are noted in files below the data home, whose content is
// the data directory, so that commands find them wherever that is. A note that a
// crash has left behind does no harm: nothing answers there.
const notesDir = ".up"

// note tells other commands of a network until the returned function is called.
// That it cannot be noted is no failure: --data names it as well.
func note(dir string) (forget func()) {
	home, err := dataHome()
	if err != nil {
		return func() {}
	}
	sum := sha256.Sum256([]byte(dir))
	path := filepath.Join(home, notesDir, hex.EncodeToString(sum[:8]))
	if os.MkdirAll(filepath.Dir(path), 0o700) != nil || os.WriteFile(path, []byte(dir), 0o600) != nil {
		return func() {}
	}
	return func() { _ = os.Remove(path) }
}

// running lists the networks that are up.
func running(home string) []*place {
	var dirs []string
	if all, err := os.ReadDir(home); err == nil {
		for _, e := range all {
			dirs = append(dirs, filepath.Join(home, e.Name()))
		}
	}
	if notes, err := os.ReadDir(filepath.Join(home, notesDir)); err == nil {
		for _, e := range notes {
			if b, err := os.ReadFile(filepath.Join(home, notesDir, e.Name())); err == nil && filepath.IsAbs(string(b)) {
				dirs = append(dirs, filepath.Clean(string(b)))
			}
		}
	}
	slices.Sort(dirs)
	var up []*place
	for _, d := range slices.Compact(dirs) {
		if p, err := open(d); err == nil && p.up() {
			up = append(up, p)
		}
	}
	return up
}

// reach returns the client of a node: the given one or, without, the home of the
// policy.
func (p *place) reach(at, policy string) (*admin.Client, error) {
	if at == "" {
		pol, ok := p.net.Policy(policy)
		switch {
		case !ok && policy != "":
			return nil, qsc.E("", qsc.Invalid, "", "the network has no policy %s; it has %s", quoteArg(policy), strings.Join(p.policies(), ", "))
		case !ok:
			return nil, qsc.E("", qsc.Unsupported, "", "the network %s has no policy: it stores nothing", p.net.Name)
		}
		at = string(pol.Home)
	}
	if _, ok := p.net.Node(qsc.NodeID(at)); !ok {
		return nil, qsc.E("", qsc.NotFound, "", "the network %s has no node %s", p.net.Name, quoteArg(at))
	}
	return p.client(qsc.NodeID(at))
}

func (p *place) policies() []string {
	var ids []string
	for _, q := range p.net.Policies {
		ids = append(ids, q.ID)
	}
	return ids
}
