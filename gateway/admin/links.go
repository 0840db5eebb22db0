package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Links is what an operator may ask of a node's quantum links.
type Links interface {
	// Attack puts an eavesdropper on a simulated link, or ends that with strength
	// 0. Errors: NotFound, Unsupported for a link that is not simulated or an
	// attack that makes no sense there, Invalid for a strength outside 0 to 1.
	Attack(link qsc.LinkID, a quantum.Attack) error

	// Records returns the last rounds of distillation, newest first. Errors:
	// NotFound, Unsupported for a link that distils nothing.
	Records(link qsc.LinkID, limit int) ([]quantum.Record, error)
}

// maxRecords is how many rounds one answer tells of.
const maxRecords = 1000

func (s *Server) attack(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	strength, err := strconv.ParseFloat(q.Get("strength"), 64)
	if err != nil {
		refuse(w, qsc.E("admin", qsc.Invalid, "", "strength=%q is no number", q.Get("strength")))
		return
	}
	a := quantum.Attack{Kind: quantum.AttackKind(q.Get("kind")), Strength: strength}
	if err := s.links.Attack(qsc.LinkID(r.PathValue("link")), a); err != nil {
		refuse(w, err)
		return
	}
	answer(w, struct{}{})
}

func (s *Server) records(w http.ResponseWriter, r *http.Request) {
	n, err := number(r.URL.Query(), "limit", 10)
	if err != nil {
		refuse(w, err)
		return
	}
	all, err := s.links.Records(qsc.LinkID(r.PathValue("link")), int(min(max(n, 0), maxRecords)))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, all)
}

func linkPath(link qsc.LinkID, what string) string {
	return "/v1/links/" + url.PathEscape(string(link)) + "/" + what
}

// Attack asks the node to put an eavesdropper on the receiving end of a simulated
// link.
func (c *Client) Attack(ctx context.Context, link qsc.LinkID, a quantum.Attack) error {
	q := url.Values{"kind": {string(a.Kind)}, "strength": {strconv.FormatFloat(a.Strength, 'g', -1, 64)}}
	return c.ask(ctx, http.MethodPost, linkPath(link, "attack"), q, nil)
}

// Records returns the last rounds of distillation of a link, newest first.
func (c *Client) Records(ctx context.Context, link qsc.LinkID, limit int) (all []quantum.Record, err error) {
	err = c.ask(ctx, http.MethodGet, linkPath(link, "records"), url.Values{"limit": {strconv.Itoa(limit)}}, &all)
	return all, err
}
