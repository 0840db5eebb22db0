package etsi014

import (
	"encoding/json"
	"strconv"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// The extension parameters of this KME.
const (
	extClass = "qsc_class" // "its" or "any"
	extPaths = "qsc_paths" // whose relays together know nothing: one fewer than this many disjoint paths
	extRetry = "qsc_retry" // names the request: the same again within the pair's window gets the same keys
)

const maxRetryName = 64

// wish is what a request asks for by extensions.
type wish struct {
	its   bool
	paths int
	retry string
}

// read takes one parameter in. known is false for one that is not ours.
func (w *wish) read(e etsi014.Extension) (known bool, fault string) {
	switch e.Name {
	case extClass:
		var v string
		if json.Unmarshal(e.Value, &v) != nil || v != "its" && v != "any" {
			return true, extClass + ` shall be "its" or "any"`
		}
		w.its = v == "its"
	case extPaths:
		n, err := strconv.Atoi(string(e.Value))
		if err != nil || n < 1 || n > keymgmt.MaxPaths {
			return true, extPaths + " shall be a whole number from 1 to " + strconv.Itoa(keymgmt.MaxPaths)
		}
		w.paths = n
	case extRetry:
		var v string
		if json.Unmarshal(e.Value, &v) != nil || v == "" || len(v) > maxRetryName {
			return true, extRetry + " shall be a text of 1 to " + strconv.Itoa(maxRetryName) + " bytes"
		}
		w.retry = v
	default:
		return false, ""
	}
	return true, ""
}

// met reports whether keys of that protection are what was asked for.
func (w *wish) met(need int, disjoint bool) bool {
	return w.paths <= 1 || need >= w.paths && disjoint
}

// wishes works the extensions into r. What a mandatory one asks for is looked up
// in the stock first, so that a refusal costs no key. Optional ones are met where
// they can be; unknown or unreadable, they are passed over.
func (c *call) wishes(req *etsi014.KeyRequest, policy keymgmt.Policy, r *keymgmt.KeyRequest) (must wish, refused *refusal) {
	if len(req.Mandatory)+len(req.Optional) == 0 {
		return must, nil
	}
	var may wish
	for _, e := range req.Optional {
		_, _ = may.read(e)
	}
	for _, e := range req.Mandatory {
		if known, fault := must.read(e); !known {
			return must, bad(etsi014.TextMandatory)
		} else if fault != "" {
			return must, bad(fault)
		}
	}
	if r.Retry = must.retry; r.Retry == "" {
		r.Retry = may.retry
	}
	if must.its || may.its || must.paths > 1 {
		return must, c.promise(&must, policy, r)
	}
	return must, noWindow(&must, policy)
}

// noWindow refuses a mandatory retry where the pair has none.
func noWindow(must *wish, policy keymgmt.Policy) *refusal {
	if must.retry != "" && policy.Retry <= 0 {
		return bad(etsi014.TextNotMet)
	}
	return nil
}

// promise asks every slave's stock what it can give.
func (c *call) promise(must *wish, policy keymgmt.Policy, r *keymgmt.KeyRequest) *refusal {
	class := qsc.ITS
	for _, slave := range r.Slaves {
		stock, err := c.s.cfg.Supply.Stock(c.r.Context(), c.caller, slave)
		if err != nil {
			return c.s.refuse(err, "")
		}
		class |= stock.Class
		need := stock.Protection.Need
		if need == 0 {
			need = stock.Protection.Paths
		}
		if !must.met(need, stock.Disjoint) {
			return bad(etsi014.TextNotMet)
		}
	}
	if class == qsc.ITS {
		r.Want = qsc.ITS
	} else if must.its {
		return bad(etsi014.TextNotMet)
	}
	return noWindow(must, policy)
}

// classTexts spares the hot path the building of a class's name.
var classTexts = func() (t [8]string) {
	for i := range t {
		t[i] = qsc.Class(i).String()
	}
	return t
}()

func classText(c qsc.Class) string {
	if int(c) < len(classTexts) {
		return classTexts[c]
	}
	return c.String()
}

// appendTold writes what is known of keys: key_container_extension, and
// status_extension.
func appendTold(dst []byte, k *keymgmt.Keys) []byte {
	dst = append(append(append(dst, `{"qsc_class":"`...), classText(k.Class)...), `","qsc_hops":`...)
	dst = append(strconv.AppendInt(dst, int64(k.Hops), 10), `,"qsc_paths":`...)
	dst = append(strconv.AppendInt(dst, int64(k.Paths), 10), `,"qsc_need":`...)
	dst = append(strconv.AppendInt(dst, int64(k.Need), 10), `,"qsc_disjoint":`...)
	return append(strconv.AppendBool(dst, k.Disjoint), '}')
}

// appendWeaker writes key_extension for keys whose paths are not the disjoint
// ones that were asked for; others go without, which keeps answers short.
func appendWeaker(dst []byte, k *keymgmt.Keys) []byte {
	if k.Paths <= 1 || k.Disjoint {
		return nil
	}
	return append(dst, `{"qsc_disjoint":false}`...)
}
