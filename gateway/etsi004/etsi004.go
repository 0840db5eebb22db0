// Package etsi004 is the door for applications that draw key as a stream: a
// server of ETSI GS QKD 004 V2.1.1 in the field's binary profile over mutual TLS
// (package internal/etsi004), on top of keymgmt.Supply.
//
// It keeps no key and decides no rate: chunks come from the supply, each once.
// A chunk whose answer is lost on the way is lost: the standard has no retry.
// The TLS between application and KME is computational.
package etsi004

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Port is where a KME listens by default.
const Port = wire.Port

// Client is one connection of an application to its KME, Dial opens it.
type Client = wire.Client

// Dial connects an application to its KME; see internal/etsi004.
func Dial(ctx context.Context, addr string, cfg *tls.Config) (*Client, error) {
	return wire.Dial(ctx, addr, cfg)
}

// Config of a server. Supply and TLS are needed; zero fields take the default.
type Config struct {
	Supply keymgmt.Supply
	// TLS holds the KME's certificate and, as ClientCAs, the roots of the
	// applications'. A client certificate is always demanded; TLS 1.2 is the least.
	TLS *tls.Config
	// Names tells for whom a certificate may speak; nil: CertNames.
	Names  func(*x509.Certificate) []qsc.AppID
	Logger *slog.Logger

	MaxConns       int           // connections, 1,024
	MaxClientConns int           // connections of one application, 16
	MaxStreams     int           // open streams of one application, 64
	MaxChunk       int           // bytes, 1 MiB; a larger chunk is answered by a counter-proposal
	Memory         int64         // bytes of answers under way, 64 MiB
	Timeout        time.Duration // of a call whose stream names none, 30 s
	MaxTimeout     time.Duration // 5 min; a longer one is cut to it
	Idle           time.Duration // without a request; 5 min, and MaxTimeout on top
	Linger         time.Duration // how long the streams of an application without a connection stay, 1 min
	// CreatorZero answers OPEN_CONNECT without a key stream ID by status 0 in
	// place of 1, for clients that take any other for a failure.
	CreatorZero bool

	now func() time.Time // that certificates are held against; nil: time.Now
}

// Times that are no matter of taste.
const (
	handshakeTime = 10 * time.Second
	bodyTime      = 10 * time.Second // for the rest of a request that has begun
	writeTime     = 30 * time.Second
	depth         = wire.MaxDepth // requests read ahead of the one that is served
)

func (c *Config) defaults() {
	c.MaxConns = cmp.Or(c.MaxConns, 1024)
	c.MaxClientConns = cmp.Or(c.MaxClientConns, 16)
	c.MaxStreams = cmp.Or(c.MaxStreams, 64)
	c.MaxChunk = min(cmp.Or(c.MaxChunk, keymgmt.MaxRound), wire.MaxChunk)
	c.Memory = max(cmp.Or(c.Memory, 64<<20), int64(answerSize(c.MaxChunk)))
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.MaxTimeout = cmp.Or(c.MaxTimeout, 5*time.Minute)
	c.Idle = cmp.Or(c.Idle, 5*time.Minute) + c.MaxTimeout
	c.Linger = cmp.Or(c.Linger, time.Minute)
	if c.Names == nil {
		c.Names = CertNames
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Server serves the applications of one node.
type Server struct {
	cfg    Config
	tls    *tls.Config
	ln     net.Listener
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
	places chan struct{}       // one for each connection
	room   *semaphore.Weighted // bytes of answers
	pools  pools

	mu   sync.Mutex
	saes map[qsc.AppID]*sae
}

// Serve serves what l accepts until Close; l becomes the server's. Error: Invalid
// for a config without supply, certificate or roots.
func Serve(l net.Listener, cfg Config) (*Server, error) {
	if cfg.Supply == nil || cfg.TLS == nil || cfg.TLS.ClientCAs == nil || len(cfg.TLS.Certificates) == 0 && cfg.TLS.GetCertificate == nil {
		return nil, qsc.E("etsi004.Serve", qsc.Invalid, "", "a supply, a certificate and the roots of the applications' certificates are needed")
	}
	cfg.defaults()
	s := &Server{cfg: cfg, ln: l, tls: cfg.TLS.Clone(), places: make(chan struct{}, cfg.MaxConns),
		room: semaphore.NewWeighted(cfg.Memory), saes: map[qsc.AppID]*sae{}}
	s.tls.ClientAuth = tls.RequireAndVerifyClientCert
	s.tls.MinVersion = max(s.tls.MinVersion, tls.VersionTLS12)
	s.tls.DynamicRecordSizingDisabled = true
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

func (s *Server) accept() {
	for {
		conn, err := s.ln.Accept()
		switch {
		case s.ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return
		case errors.Is(err, net.ErrClosed):
			s.cfg.Logger.Error("ETSI 004 listener lost", "err", err)
			return
		case err != nil: // too many open files, mostly: it passes
			s.cfg.Logger.Warn("ETSI 004 connection not accepted", "err", err)
			s.pause(100 * time.Millisecond)
			continue
		}
		select {
		case s.places <- struct{}{}:
			s.wg.Go(func() {
				defer func() { <-s.places }()
				s.serve(conn)
			})
		default:
			_ = conn.Close()
			s.cfg.Logger.Warn("ETSI 004 connection refused: all places are taken", "places", s.cfg.MaxConns)
		}
	}
}

func (s *Server) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// Close ends every call and connection and closes this side of every stream.
func (s *Server) Close() error {
	s.stop()
	err := s.ln.Close()
	s.wg.Wait()
	s.mu.Lock()
	var all []*end
	for _, a := range s.saes {
		all = append(all, a.leave()...)
	}
	clear(s.saes)
	s.mu.Unlock()
	closeEnds(all)
	return err
}

// Drop ends all connections and streams of an application whose right was taken
// away. New calls are the directory's to refuse.
func (s *Server) Drop(app qsc.AppID) {
	s.mu.Lock()
	a := s.saes[app]
	if a == nil {
		s.mu.Unlock()
		return
	}
	ends := a.leave()
	for c := range a.conns {
		_ = c.conn.NetConn().Close()
	}
	s.mu.Unlock()
	closeEnds(ends)
}
