package etsi015

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
)

// Bounds of one request.
const (
	MaxBody   = 1 << 20 // bytes
	maxLinks  = 256     // entries in one POST
	maxWait   = 15 * time.Second
	maxEvents = 1000 // in one answer
	answerIn  = 10 * time.Second
	maxAsking = 256 // requests at once
)

// Config describes the door.
type Config struct {
	Network string // name of the network: the scope of the UUIDs
	Version string // of this program, shown as qkdn_version

	// Allow reports whether the holder of a certificate may read, and whether it
	// may also install and remove paths. Nil allows nobody anything.
	Allow func(p *sae.Peer) (read, write bool)
}

// Server answers requests. Mount it behind a sae.Door, which does mutual TLS and
// bounds connections and time.
type Server struct {
	cfg  Config
	net  control.Northbound
	ids  *ids
	mux  http.ServeMux
	free chan struct{}
	now  func() time.Time
}

// root is the path of a node's qkd_node, {node} its UUID.
const root = "/nodes/{node}/restconf/data/etsi-qkd-sdn-node:qkd_node"

// New returns a handler for a controller.
func New(cfg Config, net control.Northbound) *Server {
	s := &Server{cfg: cfg, net: net, ids: newIDs(cfg.Network, net.Nodes()), free: make(chan struct{}, maxAsking), now: time.Now}
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /nodes":                             s.nodes,
		"GET /notifications":                     s.notifications,
		"GET " + root:                            s.show(func(n Node) any { return map[string]Node{"qkd_node": n} }),
		"GET " + root + "/qkdn_capabilities":     s.show(func(n Node) any { return map[string]any{"qkdn_capabilities": n.Capabilities} }),
		"GET " + root + "/qkd_applications":      s.show(func(n Node) any { return map[string]any{"qkd_applications": n.Applications} }),
		"GET " + root + "/qkd_interfaces":        s.show(func(n Node) any { return map[string]any{"qkd_interfaces": n.Interfaces} }),
		"GET " + root + "/qkd_links":             s.show(func(n Node) any { return map[string]any{"qkd_links": n.Links} }),
		"GET " + root + "/qkd_links/{link}":      s.link,
		"POST " + root + "/qkd_links":            s.post,
		"POST " + root + "/qkd_links/{$}":        s.post,
		"PUT " + root + "/qkd_links/{link}":      s.put,
		"DELETE " + root + "/qkd_links/{link}":   s.drop,
		"GET " + root + "/qkd_applications/{id}": s.one,
		"GET " + root + "/qkd_interfaces/{id}":   s.one,
	} {
		s.mux.HandleFunc(pattern, s.guard(h))
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// guard checks the caller, bounds the body and how many ask at once, and answers
// errors.
func (s *Server) guard(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.allowed(r); err != nil {
			refuse(w, err)
			return
		}
		select {
		case s.free <- struct{}{}:
			defer func() { <-s.free }()
		default:
			refuse(w, qsc.E("etsi015", qsc.Busy, "", "%d requests are being answered: try again later", maxAsking))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), answerIn+maxWait)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		if err := h(w, r.WithContext(ctx)); err != nil {
			refuse(w, err)
		}
	}
}

func (s *Server) allowed(r *http.Request) error {
	p, err := sae.PeerOf(r, s.now())
	if err != nil {
		return err
	}
	read, write := false, false
	if s.cfg.Allow != nil {
		read, write = s.cfg.Allow(p)
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !read || !reads && !write {
		return qsc.E("etsi015", qsc.Denied, "", "the holder of this certificate may not do this: add it to the operators")
	}
	return nil
}

func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/yang-data+json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // a caller that is gone needs no answer
	return nil
}

// statuses are of RFC 8040 section 7.
var statuses = map[qsc.Kind]struct {
	code int
	tag  string
}{
	qsc.Invalid:     {http.StatusBadRequest, "invalid-value"},
	qsc.NotFound:    {http.StatusNotFound, "invalid-value"},
	qsc.Exists:      {http.StatusConflict, "data-exists"},
	qsc.Conflict:    {http.StatusConflict, "in-use"},
	qsc.Denied:      {http.StatusForbidden, "access-denied"},
	qsc.NoSpace:     {http.StatusServiceUnavailable, "resource-denied"},
	qsc.Busy:        {http.StatusServiceUnavailable, "resource-denied"},
	qsc.Unreachable: {http.StatusServiceUnavailable, "resource-denied"},
	qsc.Timeout:     {http.StatusServiceUnavailable, "resource-denied"},
	qsc.Unsupported: {http.StatusMethodNotAllowed, "operation-not-supported"},
}

func refuse(w http.ResponseWriter, err error) {
	st, ok := statuses[qsc.KindOf(err)]
	if !ok {
		st.code, st.tag = http.StatusInternalServerError, "operation-failed"
	}
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		st.code, st.tag = http.StatusRequestEntityTooLarge, "too-big"
	}
	if st.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	w.Header().Set("Content-Type", "application/yang-data+json")
	w.WriteHeader(st.code)
	type fault struct {
		Type    string `json:"error-type"`
		Tag     string `json:"error-tag"`
		Message string `json:"error-message"`
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ietf-restconf:errors": map[string]any{
		"error": []fault{{"application", st.tag, err.Error()}}}})
}

// nodes lists the nodes: UUID and the id of the network description.
func (s *Server) nodes(w http.ResponseWriter, _ *http.Request) error {
	type entry struct {
		ID   string `json:"qkdn_id"`
		Name string `json:"qkdn_location_id"`
		Root string `json:"root"`
	}
	list := []entry{}
	for _, n := range s.net.Nodes() {
		id := s.ids.node(n)
		list = append(list, entry{id, string(n), strings.Replace(root, "{node}", id, 1)})
	}
	return answer(w, map[string]any{"nodes": list})
}

// at returns the node of the path.
func (s *Server) at(r *http.Request) (qsc.NodeID, error) {
	n, ok := s.ids.of(r.PathValue("node"))
	if !ok {
		return "", qsc.E("etsi015", qsc.NotFound, "", "no node has this UUID: GET /nodes lists them")
	}
	return n, nil
}

func (s *Server) read(r *http.Request) (Node, error) {
	id, err := s.at(r)
	if err != nil {
		return Node{}, err
	}
	v, err := s.net.Node(r.Context(), id)
	if err != nil {
		return Node{}, err
	}
	hops, err := s.net.Hops(r.Context(), id)
	if err != nil {
		return Node{}, err
	}
	return s.node(v, hops), nil
}

func (s *Server) show(part func(Node) any) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		n, err := s.read(r)
		if err != nil {
			return err
		}
		return answer(w, part(n))
	}
}

// one answers qkd_app=ID and qkd_interface=N.
func (s *Server) one(w http.ResponseWriter, r *http.Request) error {
	n, err := s.read(r)
	if err != nil {
		return err
	}
	list, key, _ := strings.Cut(r.PathValue("id"), "=")
	for _, a := range n.Applications.List {
		if list == "qkd_app" && strings.EqualFold(a.ID, key) {
			return answer(w, map[string]any{"qkd_app": []App{a}})
		}
	}
	for _, i := range n.Interfaces.List {
		if list == "qkd_interface" && strconv.FormatUint(uint64(i.ID), 10) == key {
			return answer(w, map[string]any{"qkd_interface": []Interface{i}})
		}
	}
	return qsc.E("etsi015", qsc.NotFound, n.Location, "there is no %.80q here", r.PathValue("id"))
}

// notifications answers the events after ?after=SEQ; with ?wait=SECONDS it waits
// that long for the next one.
func (s *Server) notifications(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	after, err := number(q.Get("after"), 1<<62)
	if err != nil {
		return err
	}
	wait, err := number(q.Get("wait"), uint64(maxWait/time.Second))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), max(time.Duration(wait)*time.Second, time.Millisecond))
	defer cancel()
	events, err := s.net.Events(ctx, after)
	if err != nil && !qsc.IsKind(err, qsc.Timeout) {
		return err
	}
	list := []Notification{}
	for _, e := range events[:min(len(events), maxEvents)] {
		list = append(list, s.notification(e))
	}
	return answer(w, map[string]any{"notifications": list})
}

func number(text string, most uint64) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > most {
		return 0, qsc.E("etsi015", qsc.Invalid, "", "%.40q is not a number from 0 to %d", text, most)
	}
	return n, nil
}

// body reads the whole body, bounded by MaxBody.
func body(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, qsc.E("etsi015", qsc.Invalid, "", "the body cannot be read: %w", err)
	}
	return b, nil
}
