package etsi014

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
)

// refusal is an answer other than 200. The standard knows 400, 401 and 503.
type refusal struct {
	status  int
	message string
	after   int  // seconds, with 503
	last    bool // the rest of the request is not read: the connection ends
}

func tooLong(limit int64) *refusal {
	f := bad("the body is too long: at most " + strconv.FormatInt(limit, 10) + " bytes")
	f.last = true
	return f
}

func busy(message string, after int) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, message: message, after: after}
}

func bad(message string) *refusal { return &refusal{status: http.StatusBadRequest, message: message} }

func unauthorised(message string) *refusal {
	return &refusal{status: http.StatusUnauthorized, message: message}
}

func (f *refusal) outcome() int {
	switch f.status {
	case http.StatusBadRequest:
		return invalid
	case http.StatusUnauthorized:
		return denied
	}
	return failed
}

// send writes the Error object, with 401 too: some clients parse one whatever the
// status.
func (f *refusal) send(w http.ResponseWriter) {
	if f.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.after))
	}
	if f.last {
		w.Header().Set("Connection", "close")
	}
	send(w, f.status, etsi014.AppendError(nil, f.message))
}

// Header values are shared: net/http does not write to them.
var (
	typeJSON = []string{"application/json"}
	noStore  = []string{"no-store"}
)

// send writes an answer of known length at once, so that net/http neither chunks
// nor keeps it.
func send(w http.ResponseWriter, status int, text []byte) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = typeJSON, noStore
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, _ = w.Write(text) // a caller that is gone may ask again in its retry window
}

// refuse turns an error of the supply into an answer. gone is the text for
// NotFound, "" where that is no fault of the request. Causes are told only where
// they speak of the request alone: what others have stays unsaid.
func (s *Server) refuse(err error, gone string) *refusal {
	switch kind := qsc.KindOf(err); {
	case kind == qsc.NotFound && gone != "":
		return bad(gone)
	case kind == qsc.Invalid, kind == qsc.Unsupported:
		return bad(cause(err))
	case kind == qsc.Denied:
		return unauthorised(cause(err))
	case kind == qsc.Exhausted:
		return busy("not enough keys are available now: ask again later", after(err))
	case errors.Is(err, context.Canceled):
		return busy("the caller went away", 1)
	default:
		s.log.Warn("a request for key failed", "node", s.cfg.Node, "err", err)
		return busy("the KME cannot answer now: "+kind.String(), after(err))
	}
}

// cause is the innermost text of an error without operation and node.
func cause(err error) string {
	var e *qsc.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return "the request cannot be met"
}

// after reads from an error when to ask again, in seconds, at least one.
func after(err error) int {
	var told interface{ RetryAfter() time.Duration }
	if errors.As(err, &told) {
		return int(max(1, min(3600, (told.RetryAfter()+time.Second-1)/time.Second)))
	}
	return 1
}

// Answers lie in buffers that are wiped before they are used again.
const bufferSize = 16 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, bufferSize); return &b }}

func take() *[]byte { return buffers.Get().(*[]byte) }

func give(b *[]byte) {
	clear(*b)
	if cap(*b) <= 16*bufferSize {
		buffers.Put(b)
	}
}
