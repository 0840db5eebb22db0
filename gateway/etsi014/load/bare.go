package load

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
)

// Bare serves, behind the same mutual TLS, one fixed answer of the size that so
// many keys have: what Go's HTTPS costs without anything behind it. Point both
// ends of a plan at it; it is not a KME, and all its keys are zero.
func Bare(l net.Listener, cfg sae.Config, batch int, size qsc.Bits) (*sae.Door, error) {
	ids := make([]qsc.KeyID, batch)
	for i := range ids {
		ids[i][15], ids[i][14] = byte(i), byte(i>>8)
	}
	width := int(size.Bytes())
	text := etsi014.AppendContainer(nil, ids, width, make([]byte, batch*width), nil, nil)
	length := strconv.Itoa(len(text))
	// Get key with one key ID must be answered with that ID: it is written over.
	at := strings.Index(string(text), `"key_ID":"`) + len(`"key_ID":"`)
	return sae.Open(l, cfg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", length)
		_, id, one := strings.Cut(r.URL.RawQuery, "key_ID=")
		if one && batch == 1 && len(id) == 36 {
			_, _ = w.Write([]byte(string(text[:at]) + id + string(text[at+36:])))
			return
		}
		_, _ = w.Write(text)
	}))
}
