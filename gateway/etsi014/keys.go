package etsi014

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// status answers Get status (clause 5.1).
func (c *call) status() *refusal {
	if _, ok := c.s.cfg.Directory.Allowed(c.caller, c.other); !ok {
		return c.notAllowed(c.other)
	}
	stock, err := c.s.cfg.Supply.Stock(c.r.Context(), c.caller, c.other)
	if err != nil {
		return c.s.refuse(err, "")
	}
	l := c.s.cfg.Supply.Limits()
	st := etsi014.Status{
		SourceKME: string(stock.Source), TargetKME: string(stock.Target), Master: string(c.caller), Slave: string(c.other),
		KeySize: int64(l.KeySize), Stored: stock.Keys, MaxKeys: stock.MaxKeys, MaxPerRequest: int64(l.MaxPerRequest),
		MaxSize: int64(l.MaxSize), MinSize: int64(l.MinSize), MaxSlaves: int64(l.MaxSlaves),
	}
	p := stock.Protection
	paths := max(1, p.Paths)
	need := p.Need
	if need == 0 {
		need = paths
	}
	if stock.Keys > 0 {
		st.Extension = appendTold(nil, &keymgmt.Keys{Class: stock.Class, Hops: stock.Hops, Paths: paths, Need: need, Disjoint: stock.Disjoint})
	} else { // of key that is not there nothing is known
		st.Extension = fmt.Appendf(nil, `{"qsc_paths":%d,"qsc_need":%d}`, paths, need)
	}
	c.buf = st.Append(c.buf)
	return nil
}

func (c *call) notAllowed(slave qsc.AppID) *refusal {
	return unauthorised(fmt.Sprintf("this SAE may not share key with %.64q: ask the operator to allow the pair", slave))
}

// encKeys answers Get key (clause 5.2). The caller is the master.
func (c *call) encKeys(post bool) *refusal {
	policy, ok := c.s.cfg.Directory.Allowed(c.caller, c.other)
	if !ok {
		return c.notAllowed(c.other)
	}
	req, refused := c.keyRequest(post)
	if refused != nil {
		return refused
	}
	issue := keymgmt.KeyRequest{
		Master: c.caller, Slaves: make([]qsc.AppID, 1, 1+len(req.Slaves)), Number: req.Number, Size: qsc.Bits(req.Size),
		Client: c.peer.Fingerprint, Want: keymgmt.AnyClass,
	}
	issue.Slaves[0] = c.other
	for _, id := range req.Slaves {
		issue.Slaves = append(issue.Slaves, qsc.AppID(id))
	}
	if refused := c.check(&issue); refused != nil {
		return refused
	}
	w, refused := c.wishes(&req, policy, &issue)
	if refused != nil {
		return refused
	}
	keys, err := c.s.cfg.Supply.Issue(c.r.Context(), issue)
	if issue.Want == qsc.ITS && !w.its && qsc.IsKind(err, qsc.Exhausted) {
		issue.Want = keymgmt.AnyClass // it was only optional
		keys, err = c.s.cfg.Supply.Issue(c.r.Context(), issue)
	}
	if err != nil {
		return c.s.refuse(err, "")
	}
	if !w.met(keys.Need, keys.Disjoint) {
		keys.Bytes.Zeroise()
		return bad(etsi014.TextNotMet)
	}
	c.deliver(keys, issued)
	return nil
}

// keyRequest reads the body of a POST, or the parameters of a GET, whose body is
// ignored.
func (c *call) keyRequest(post bool) (req etsi014.KeyRequest, refused *refusal) {
	if post {
		text, refused := c.text()
		if refused != nil {
			return req, refused
		}
		req, err := etsi014.DecodeKeyRequest(text)
		if err != nil {
			return req, bad(cause(err))
		}
		return req, nil
	}
	if c.r.URL.RawQuery == "" {
		return req, nil
	}
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return req, bad("the query cannot be read")
	}
	for name, v := range q {
		n, ok := whole(v)
		switch {
		case name != "number" && name != "size":
			return req, bad(fmt.Sprintf("unknown parameter %.64q: a GET takes number and size; use POST for the rest", name))
		case !ok:
			return req, bad(name + " shall be one whole number from 1 to 2147483647")
		case name == "number":
			req.Number = int(n)
		default:
			req.Size = n
		}
	}
	return req, nil
}

// whole reads the only value of a parameter.
func whole(v []string) (int64, bool) {
	if len(v) != 1 || v[0] == "" || v[0][0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseInt(v[0], 10, 32)
	return n, err == nil && n > 0
}

// check holds a request to the limits: outside them nothing is guessed.
func (c *call) check(r *keymgmt.KeyRequest) *refusal {
	l := c.s.cfg.Supply.Limits()
	switch {
	case r.Size%8 != 0:
		return bad(etsi014.TextSize)
	case r.Size != 0 && (r.Size < l.MinSize || r.Size > l.MaxSize):
		return bad(fmt.Sprintf("size shall be from %d to %d bits", l.MinSize, l.MaxSize))
	case r.Number > l.MaxPerRequest:
		return bad(fmt.Sprintf("number shall be at most %d", l.MaxPerRequest))
	case len(r.Slaves)-1 > l.MaxSlaves:
		return bad(fmt.Sprintf("additional_slave_SAE_IDs shall name at most %d SAEs", l.MaxSlaves))
	}
	for i, id := range r.Slaves[1:] {
		if slices.Contains(r.Slaves[:i+1], id) {
			return bad(fmt.Sprintf("slave %.64q is named twice", id))
		}
		if _, ok := c.s.cfg.Directory.Allowed(c.caller, id); !ok {
			return c.notAllowed(id)
		}
	}
	return nil
}

// decKeys answers Get key with key IDs (clause 5.3). The caller is a slave, the
// path names the master. Whether the pair is still allowed is not asked: what was
// issued belongs to its slaves.
func (c *call) decKeys(post bool) *refusal {
	ids, refused := c.keyIDs(post)
	if refused != nil {
		return refused
	}
	keys, err := c.s.cfg.Supply.Fetch(c.r.Context(), keymgmt.FetchRequest{Slave: c.caller, Master: c.other, IDs: ids, Client: c.peer.Fingerprint})
	if err != nil {
		return c.s.refuse(err, etsi014.TextKeysNotFound)
	}
	c.deliver(keys, fetched)
	return nil
}

func (c *call) keyIDs(post bool) ([]qsc.KeyID, *refusal) {
	limit := c.s.cfg.Supply.Limits().MaxPerRequest
	if post {
		text, refused := c.text()
		if refused != nil {
			return nil, refused
		}
		ids, err := etsi014.DecodeKeyIDs(text, limit)
		if err != nil {
			return nil, bad(cause(err))
		}
		return ids, nil
	}
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil || len(q) != 1 || len(q["key_ID"]) != 1 {
		return nil, bad("a GET takes exactly one parameter, key_ID; use POST for several")
	}
	id, err := etsi014.ParseID([]byte(q["key_ID"][0]))
	if err != nil {
		return nil, bad(cause(err))
	}
	return []qsc.KeyID{id}, nil
}

// deliver writes the container into c.buf and wipes the supply's copy.
func (c *call) deliver(k *keymgmt.Keys, outcome int) {
	var told, each [160]byte
	whole := appendTold(told[:0], k)
	c.buf = etsi014.AppendContainer(c.buf[:0], k.IDs, k.Size, k.Bytes.Expose(), appendWeaker(each[:0], k), whole)
	k.Bytes.Zeroise()
	c.s.counts[outcome].Add(int64(len(k.IDs)))
}
