// Package skip serves the Secure Key Integration Protocol by which routers fetch
// post-quantum pre-shared keys (draft-cisco-skip-02, draft-singh-skip-00): GET
// only, keys in hexadecimal.
//
// It makes and keeps no key (keymgmt.Supply does). It speaks TLS 1.3 with
// certificates; pre-shared keys at TLS level, which some routers insist on, are
// not offered by Go and need a terminator in front, see docs/design/etsi014.md.
package skip

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Config describes the key provider of one node. A system ID of SKIP is an
// application's ID: the caller's certificate gives the local one.
type Config struct {
	Node      qsc.NodeID // only encryptors at home here are served
	Supply    keymgmt.Supply
	Directory keymgmt.Directory
	Door      sae.Config // MinVersion is raised to TLS 1.3
	Identity  sae.Identity
	Remotes   []string         // globs (* ? [..]) of remoteSystemID that are served; none: all
	Algorithm string           // told in /capabilities; "": "QKD"
	Now       func() time.Time // nil: time.Now
}

// Server serves one node.
type Server struct {
	cfg  Config
	door *sae.Door
	log  *slog.Logger
}

// Serve answers on l, which it closes, until Close. Error: Invalid.
func Serve(l net.Listener, cfg Config) (*Server, error) {
	cfg.Door.MinVersion = max(cfg.Door.MinVersion, tls.VersionTLS13)
	s, err := newServer(cfg)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	s.door, err = sae.Open(l, cfg.Door, s)
	return s, err
}

func newServer(cfg Config) (*Server, error) {
	if cfg.Supply == nil || cfg.Directory == nil || cfg.Node == "" {
		return nil, qsc.E("skip.Serve", qsc.Invalid, string(cfg.Node), "a node, its supply and its directory are needed")
	}
	if cfg.Identity == nil {
		cfg.Identity = sae.CommonName
	}
	if cfg.Algorithm == "" {
		cfg.Algorithm = "QKD"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Remotes == nil {
		cfg.Remotes = []string{"*"}
	}
	for _, glob := range cfg.Remotes {
		if _, err := path.Match(glob, ""); err != nil {
			return nil, qsc.E("skip.Serve", qsc.Invalid, string(cfg.Node), "remoteSystemID pattern %q: %w", glob, err)
		}
	}
	s := &Server{cfg: cfg, log: cfg.Door.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.door.Addr() }

// Close ends the requests under way.
func (s *Server) Close() error { return s.door.Close() }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handle := s.route(r.URL.Path)
	switch {
	case handle == nil:
		refuse(w, http.StatusNotFound, "no such path: use /capabilities, /key, /key/{keyId} or /entropy")
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "SKIP knows GET only")
		return
	}
	c := call{s: s, ctx: r.Context(), buf: make([]byte, 0, 1024)}
	defer c.wipe()
	var err error
	if c.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		err = fault("the query cannot be read")
	}
	if err == nil {
		err = c.identify(r)
	}
	if err == nil {
		err = handle(&c)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	send(w, http.StatusOK, c.buf)
}

// route finds what serves a path, nil for none.
func (s *Server) route(p string) func(*call) error {
	id, one := strings.CutPrefix(p, "/key/")
	switch {
	case p == "/capabilities":
		return (*call).capabilities
	case p == "/entropy":
		return (*call).entropy
	case p == "/key":
		return (*call).newKey
	case one && id != "" && !strings.Contains(id, "/"):
		return func(c *call) error { return c.twin(id) }
	}
	return nil
}

// identify finds out who calls, at every request anew.
func (c *call) identify(r *http.Request) error {
	peer, err := sae.PeerOf(r, c.s.cfg.Now())
	if err != nil {
		return err
	}
	if c.caller, err = c.s.cfg.Identity(peer); err != nil {
		return err
	}
	c.client = peer.Fingerprint
	if home, ok := c.s.cfg.Directory.Home(c.caller); !ok || home != c.s.cfg.Node {
		return qsc.E("skip", qsc.Denied, "", "this key provider does not serve the system that the certificate names")
	}
	return nil
}

// remote reads the parameter that names the other side.
func (c *call) remote() (qsc.AppID, error) {
	v := c.query["remoteSystemID"]
	if len(v) != 1 || v[0] == "" {
		return "", fault("give exactly one remoteSystemID")
	}
	served := slices.ContainsFunc(c.s.cfg.Remotes, func(glob string) bool {
		ok, _ := path.Match(glob, v[0])
		return ok
	})
	if !served {
		return "", fault("remoteSystemID %.64q is not served here; /capabilities lists what is", v[0])
	}
	return qsc.AppID(v[0]), nil
}
