package sae

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Config describes a door. Zero values of the bounds stand for the defaults.
type Config struct {
	Certificate tls.Certificate // the server's, with a SAN: libcurl checks it
	ClientCAs   *x509.CertPool  // who signs the callers' certificates
	MinVersion  uint16          // of TLS; never below 1.2, the default

	MaxConns   int           // connections at once; 10,240
	HeaderTime time.Duration // for the handshake, and for a request's header; 10 s
	ReadTime   time.Duration // for a whole request; 20 s
	WriteTime  time.Duration // from the end of the header to the end of the answer; 30 s
	IdleTime   time.Duration // between requests; 2 min
	MaxHeader  int           // bytes; 16 KiB

	Logger *slog.Logger // nil: none; requests are not logged
}

func (c *Config) defaults() {
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&c.HeaderTime, 10 * time.Second}, {&c.ReadTime, 20 * time.Second}, {&c.WriteTime, 30 * time.Second}, {&c.IdleTime, 2 * time.Minute}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	if c.MaxConns <= 0 {
		c.MaxConns = 10240
	}
	if c.MaxHeader <= 0 {
		c.MaxHeader = 16 << 10
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// TLS returns the server's side of the handshake: mutual, with session tickets,
// HTTP/1.1 only. HTTP/2 would keep answers in frame buffers of its own and let one
// connection ask many things at once.
//
// Nothing chooses among TLS 1.3 suites in Go: a client that offers
// TLS_AES_128_GCM_SHA256 first gets it; one that offers only
// TLS_AES_256_GCM_SHA384 gets that.
func (c *Config) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: max(c.MinVersion, tls.VersionTLS12), Certificates: []tls.Certificate{c.Certificate},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: c.ClientCAs, NextProtos: []string{"http/1.1"},
	}
}

// Door serves one listener.
type Door struct {
	http http.Server
	gate gate
	done sync.WaitGroup
}

// Open serves l, which it closes, with h until Close. Error: Invalid.
func Open(l net.Listener, cfg Config, h http.Handler) (*Door, error) {
	if cfg.ClientCAs == nil || len(cfg.Certificate.Certificate) == 0 {
		_ = l.Close()
		return nil, qsc.E("sae.Open", qsc.Invalid, l.Addr().String(), "a server certificate and the CA of the clients are needed: make them with qsc ca")
	}
	cfg.defaults()
	d := &Door{}
	d.gate.Listener, d.gate.limit = l, int64(cfg.MaxConns)
	d.http = http.Server{
		Handler: h, TLSConfig: cfg.TLS(), ReadHeaderTimeout: cfg.HeaderTime, ReadTimeout: cfg.ReadTime,
		WriteTimeout: cfg.WriteTime, IdleTimeout: cfg.IdleTime, MaxHeaderBytes: cfg.MaxHeader,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:     slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
		ConnContext:  func(ctx context.Context, _ net.Conn) context.Context { return withConn(ctx) },

		DisableGeneralOptionsHandler: true,
	}
	d.done.Go(func() {
		if err := d.http.ServeTLS(&d.gate, "", ""); !errors.Is(err, http.ErrServerClosed) {
			cfg.Logger.Error("a gateway's listener is lost: restart the node", "address", l.Addr().String(), "err", err)
		}
	})
	return d, nil
}

// Addr is where the door is.
func (d *Door) Addr() net.Addr { return d.gate.Addr() }

// Conns returns how many connections are open, and how many were turned away
// because MaxConns were.
func (d *Door) Conns() (open, refused int64) { return d.gate.open.Load(), d.gate.refused.Load() }

// Close ends the requests under way, waiting for them at most two seconds.
func (d *Door) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := d.http.Shutdown(ctx)
	if err != nil {
		err = d.http.Close()
	}
	d.done.Wait()
	return err
}

// gate bounds the connections. One over the limit is closed at once: a client
// sees a reset and tries again, and the idle ones make room in IdleTime.
type gate struct {
	net.Listener
	limit         int64
	open, refused atomic.Int64
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.open.Add(1) <= g.limit {
			return &counted{Conn: c, gate: g}, nil
		}
		g.open.Add(-1)
		g.refused.Add(1)
		_ = c.Close()
	}
}

type counted struct {
	net.Conn
	gate   *gate
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.gate.open.Add(-1)
	}
	return c.Conn.Close()
}
