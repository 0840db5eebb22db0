package etsi014

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
)

const apiPath = "/api/v1/keys/"

// call is one request whose caller is known.
type call struct {
	s      *Server
	r      *http.Request
	buf    []byte    // for the request's text, then for the answer
	peer   *sae.Peer //
	caller qsc.AppID // from the certificate
	other  qsc.AppID // from the path: slave or master
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	buf := take()
	c := call{s: s, r: r, buf: (*buf)[:0]}
	refused := c.answer()
	switch {
	case refused != nil:
		s.counts[refused.outcome()].Add(1)
		refused.send(w)
	default:
		send(w, http.StatusOK, c.buf)
	}
	*buf = c.buf
	give(buf)
}

// answer leaves the body of a 200 in c.buf.
func (c *call) answer() *refusal {
	if c.r.ContentLength > c.s.maxText() {
		return tooLong(c.s.maxText())
	}
	if refused := c.identify(); refused != nil {
		return refused
	}
	id, method, ok := split(c.r.URL)
	if !ok || len(id) > etsi014.MaxSAE {
		return bad("no such path: use " + apiPath + "{SAE ID}/status, enc_keys or dec_keys")
	}
	c.other = qsc.AppID(id)
	get, post := c.r.Method == http.MethodGet, c.r.Method == http.MethodPost
	switch {
	case method == "status" && get:
		return c.status()
	case method == "enc_keys" && (get || post):
		return c.encKeys(post)
	case method == "dec_keys" && (get || post):
		return c.decKeys(post)
	case method == "status":
		return bad("status is asked for with GET")
	case method == "enc_keys", method == "dec_keys":
		return bad(method + " is asked for with GET or POST")
	}
	return bad("no such method: use status, enc_keys or dec_keys")
}

// identify finds out who calls: by the certificate, at every request anew.
func (c *call) identify() *refusal {
	now := c.s.cfg.Now()
	peer, err := sae.PeerOf(c.r, now)
	if err == nil {
		c.caller, err = c.s.cfg.Identity(peer)
	}
	if err != nil {
		return c.s.refuse(err, "")
	}
	c.peer = peer
	if home, ok := c.s.cfg.Directory.Home(c.caller); !ok || home != c.s.cfg.Node {
		return unauthorised("this KME does not serve the SAE that the certificate names: register it here, or call its own KME")
	}
	if !c.s.limit.allow(c.caller, now) {
		return busy("too many requests of this SAE: slow down", 1)
	}
	return nil
}

// split takes a path apart. The SAE ID is one segment, percent-encoded.
func split(u *url.URL) (id, method string, ok bool) {
	path, encoded := u.Path, u.RawPath != ""
	if encoded {
		path = u.RawPath
	}
	rest, ok := strings.CutPrefix(path, apiPath)
	if !ok {
		return "", "", false
	}
	id, method, ok = strings.Cut(rest, "/")
	if ok && encoded {
		var err error
		id, err = url.PathUnescape(id)
		ok = err == nil
	}
	return id, method, ok && id != ""
}

// maxText bounds a request's body: one that names as many key IDs as a request
// may, spaced out, fits.
func (s *Server) maxText() int64 {
	return max(64<<10, 256*int64(s.cfg.Supply.Limits().MaxPerRequest))
}

// text reads the body of a POST into c.buf.
func (c *call) text() ([]byte, *refusal) {
	limit := c.s.maxText()
	if n := c.r.ContentLength; n >= int64(cap(c.buf)) {
		c.buf = make([]byte, 0, n+1)
	}
	for {
		if len(c.buf) == cap(c.buf) {
			if int64(len(c.buf)) > limit {
				return nil, tooLong(limit)
			}
			c.buf = append(c.buf, 0)[:len(c.buf)]
		}
		n, err := c.r.Body.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		switch {
		case int64(len(c.buf)) > limit:
			return nil, tooLong(limit)
		case err == io.EOF && len(c.buf) == 0:
			return nil, bad("the body is empty: send a JSON object, {} for the defaults")
		case err == io.EOF:
			return c.buf, nil
		case err != nil:
			return nil, bad("the body came in incomplete")
		}
	}
}
