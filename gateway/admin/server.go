package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

const (
	trailerReport = "Qsc-Report"
	trailerError  = "Qsc-Error"

	maxTransfers = 64       // puts and gets at once
	maxHeader    = 64 << 10 // bytes of a request's header
	headerTime   = 10 * time.Second
)

// Server serves one node.
type Server struct {
	vault     cloud.Vault
	status    func(context.Context) Status
	links     Links
	log       *slog.Logger
	http      http.Server
	transfers chan struct{}
	stop      context.CancelFunc
}

// Serve listens on the socket of a directory until Close. It replaces a socket
// that a crash has left behind: the caller holds the directory's lock.
func Serve(dir string, vault cloud.Vault, links Links, status func(context.Context) Status, log *slog.Logger) (*Server, error) {
	path, err := SocketPath(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, qsc.E("admin.Serve", qsc.Invalid, path, "%w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, qsc.E("admin.Serve", qsc.Busy, path, "%w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, qsc.E("admin.Serve", qsc.Invalid, path, "%w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, qsc.E("admin.Serve", qsc.Denied, path, "%w", err)
	}
	s := &Server{vault: vault, links: links, status: status, log: log, transfers: make(chan struct{}, maxTransfers)}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.http = http.Server{Handler: s.routes(), ReadHeaderTimeout: headerTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	go s.accept(l)
	return s, nil
}

func (s *Server) accept(l net.Listener) {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("admin socket lost", "err", err)
	}
}

// Close ends what is under way and removes the socket.
func (s *Server) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/objects", s.transfer(s.put))
	mux.HandleFunc("GET /v1/objects/content", s.transfer(s.get))
	mux.HandleFunc("GET /v1/objects", s.list)
	mux.HandleFunc("GET /v1/objects/stat", s.stat)
	mux.HandleFunc("DELETE /v1/objects", s.delete)
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) { answer(w, s.status(r.Context())) })
	mux.HandleFunc("POST /v1/links/{link}/attack", s.attack)
	mux.HandleFunc("GET /v1/links/{link}/records", s.records)
	mux.HandleFunc("POST /v1/catalog/rebuild", s.rebuild)
	return mux
}

// transfer bounds how many streams run at once.
func (s *Server) transfer(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.transfers <- struct{}{}:
			defer func() { <-s.transfers }()
			h(w, r)
		default:
			refuse(w, qsc.E("admin", qsc.Busy, "", "%d transfers are under way: try again later", maxTransfers))
		}
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a caller that is gone needs no answer
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statusOf(qsc.KindOf(err)))
	_ = json.NewEncoder(w).Encode(errorBody(err))
}

// number reads a decimal parameter; an absent one is def.
func number(q url.Values, key string, def int64) (int64, error) {
	if q.Get(key) == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(q.Get(key), 10, 64)
	if err != nil {
		return 0, qsc.E("admin", qsc.Invalid, "", "%s=%q is no number", key, q.Get(key))
	}
	return n, nil
}

func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size, err := number(q, "size", -1)
	if err != nil {
		refuse(w, err)
		return
	}
	rep, err := s.vault.Put(r.Context(), q.Get("name"), r.Body, cloud.PutOptions{
		Policy: q.Get("policy"), Size: size, Replace: q.Get("replace") == "true",
	})
	if err != nil {
		// What is still to come is not read: the connection ends here.
		w.Header().Set("Connection", "close")
		refuse(w, err)
		return
	}
	answer(w, reportOf(rep))
}

// get streams an object. How it ended stands in the trailers, because the first
// bytes have gone by then; before them an error has its own status.
func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	offset, err1 := number(q, "offset", 0)
	length, err2 := number(q, "length", -1)
	if err := errors.Join(err1, err2); err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Trailer", trailerReport+", "+trailerError)
	w.Header().Set("Content-Type", "application/octet-stream")
	out := &counting{w: w}
	rep, err := s.vault.Get(r.Context(), q.Get("name"), out, cloud.GetOptions{Offset: offset, Length: length})
	if err != nil && !out.begun {
		w.Header().Del("Trailer")
		refuse(w, err)
		return
	}
	if err != nil {
		setTrailer(w, trailerError, errorBody(err))
	}
	setTrailer(w, trailerReport, reportOf(rep))
}

func setTrailer(w http.ResponseWriter, key string, v any) {
	b, err := json.Marshal(v)
	if err == nil {
		w.Header().Set(key, string(b))
	}
}

// counting notes whether anything was written.
type counting struct {
	w     http.ResponseWriter
	begun bool
}

func (c *counting) Write(b []byte) (int, error) {
	c.begun = true
	return c.w.Write(b)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := number(q, "limit", cloud.MaxList)
	if err != nil {
		refuse(w, err)
		return
	}
	limit = min(max(limit, 1), cloud.MaxList)
	recs, err := s.vault.List(r.Context(), cloud.Query{Prefix: q.Get("prefix"), After: q.Get("after"), Limit: int(limit)})
	if err != nil {
		refuse(w, err)
		return
	}
	l := List{Objects: []Object{}, More: len(recs) == int(limit)}
	for _, rec := range recs {
		l.Objects = append(l.Objects, ObjectOf(rec))
	}
	answer(w, l)
}

func (s *Server) stat(w http.ResponseWriter, r *http.Request) {
	rec, err := s.vault.Stat(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, ObjectOf(rec))
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request) {
	if err := s.vault.Delete(r.Context(), r.URL.Query().Get("name")); err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) rebuild(w http.ResponseWriter, r *http.Request) {
	n, err := s.vault.Rebuild(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, struct {
		Objects int `json:"objects"`
	}{n})
}
