// Package etsi014 serves ETSI GS QKD 014 V1.1.1: Get status, Get key and Get key
// with key IDs over HTTPS, to the encryptors that people own.
//
// It makes, stores and counts no key: keymgmt.Supply does, and marks every key
// durably before it is answered here. It does not decide who may share key with
// whom: keymgmt.Directory does. Where the standard is silent,
// docs/design/etsi014.md says what is done.
package etsi014

import (
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// The client and its messages, for programs outside this module.
type (
	Client       = etsi014.Client
	ClientConfig = etsi014.ClientConfig
	KeyRequest   = etsi014.KeyRequest
	Extension    = etsi014.Extension
	Container    = etsi014.Container
	Status       = etsi014.Status
	Refusal      = etsi014.Refusal
)

// NewClient returns a client of a KME. Error: Invalid.
func NewClient(cfg ClientConfig) (*Client, error) { return etsi014.NewClient(cfg) }

// Config describes the gateway of one node.
type Config struct {
	Node      qsc.NodeID // the KME ID; only SAEs at home here are served
	Supply    keymgmt.Supply
	Directory keymgmt.Directory
	Door      sae.Config
	Identity  sae.Identity     // nil: sae.CommonName
	Rate      float64          // requests of one SAE per second; 0: no bound
	Now       func() time.Time // nil: time.Now
}

// Server serves one node.
type Server struct {
	cfg    Config
	door   *sae.Door
	log    *slog.Logger
	limit  *limiter
	counts [outcomes]atomic.Int64
}

// Serve answers on l, which it closes, until Close. Error: Invalid.
func Serve(l net.Listener, cfg Config) (*Server, error) {
	if cfg.Supply == nil || cfg.Directory == nil || cfg.Node == "" {
		_ = l.Close()
		return nil, qsc.E("etsi014.Serve", qsc.Invalid, string(cfg.Node), "a node, its supply and its directory are needed")
	}
	s := newServer(cfg)
	door, err := sae.Open(l, cfg.Door, s)
	s.door = door
	return s, err
}

func newServer(cfg Config) *Server {
	if cfg.Identity == nil {
		cfg.Identity = sae.CommonName
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, log: cfg.Door.Logger, limit: newLimiter(cfg.Rate)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.door.Addr() }

// Close ends the requests under way.
func (s *Server) Close() error { return s.door.Close() }

// What a request came to.
const (
	issued   = iota // keys
	fetched         // keys
	invalid         // requests answered with 400
	denied          // 401
	failed          // 503
	outcomes = iota
)

// Stats counts since the start.
type Stats struct {
	Conns   int64 `json:"conns"`   // open now
	Refused int64 `json:"refused"` // connections over the bound
	Issued  int64 `json:"issued"`  // keys given to masters
	Fetched int64 `json:"fetched"` // keys given to slaves
	Invalid int64 `json:"invalid"` // requests answered with 400
	Denied  int64 `json:"denied"`  // 401
	Failed  int64 `json:"failed"`  // 503
}

// Stats tells how the server fares.
func (s *Server) Stats() Stats {
	n := func(i int) int64 { return s.counts[i].Load() }
	st := Stats{Issued: n(issued), Fetched: n(fetched), Invalid: n(invalid), Denied: n(denied), Failed: n(failed)}
	st.Conns, st.Refused = s.door.Conns()
	return st
}
