package skip

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

const (
	defaultBits = 256  // of a key and of min-entropy
	maxEntropy  = 8192 // bits in one answer
)

// call is one request.
type call struct {
	s      *Server
	ctx    context.Context
	query  url.Values
	caller qsc.AppID
	client string
	buf    []byte // the answer; wiped when it is sent
}

func (c *call) wipe() { clear(c.buf[:cap(c.buf)]) }

func fault(format string, args ...any) error {
	return qsc.E("skip", qsc.Invalid, "", format, args...)
}

// bits reads an optional parameter.
func (c *call) bits(name string) (int, error) {
	v := c.query[name]
	if len(v) == 0 {
		return defaultBits, nil
	}
	n, err := strconv.Atoi(v[0])
	if len(v) != 1 || err != nil || n <= 0 || v[0][0] == '+' {
		return 0, fault("%s shall be one whole number of bits above 0", name)
	}
	return n, nil
}

// capabilities answers GET /capabilities.
func (c *call) capabilities() error {
	b, err := json.Marshal(struct {
		Entropy   bool     `json:"entropy"`
		Key       bool     `json:"key"`
		Algorithm string   `json:"algorithm"`
		Local     string   `json:"localSystemID"`
		Remote    []string `json:"remoteSystemID"`
	}{true, true, c.s.cfg.Algorithm, string(c.caller), c.s.cfg.Remotes})
	c.buf = append(c.buf, b...)
	return err
}

// newKey answers GET /key: the caller is the master.
func (c *call) newKey() error {
	remote, err := c.remote()
	if err != nil {
		return err
	}
	size, err := c.bits("size")
	if err != nil {
		return err
	}
	if l := c.s.cfg.Supply.Limits(); size%8 != 0 || qsc.Bits(size) < l.MinSize || qsc.Bits(size) > l.MaxSize {
		return fault("size shall be a multiple of 8 from %d to %d bits", l.MinSize, l.MaxSize)
	}
	if _, ok := c.s.cfg.Directory.Allowed(c.caller, remote); !ok {
		return qsc.E("skip", qsc.Denied, "", "no key is shared with remoteSystemID %.64q: ask the operator to allow the pair", remote)
	}
	keys, err := c.s.cfg.Supply.Issue(c.ctx, keymgmt.KeyRequest{
		Master: c.caller, Slaves: []qsc.AppID{remote}, Number: 1, Size: qsc.Bits(size), Client: c.client, Want: keymgmt.AnyClass})
	if err != nil {
		return err
	}
	return c.deliver(keys)
}

// twin answers GET /key/{keyId}: the caller is the slave. The supply erases the
// key when it gives it out.
func (c *call) twin(id string) error {
	remote, err := c.remote()
	if err != nil {
		return err
	}
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != len(qsc.KeyID{}) {
		return fault("keyId shall be 32 hexadecimal digits")
	}
	keys, err := c.s.cfg.Supply.Fetch(c.ctx, keymgmt.FetchRequest{Slave: c.caller, Master: remote, IDs: []qsc.KeyID{qsc.KeyID(raw)}, Client: c.client})
	if err != nil {
		return err
	}
	return c.deliver(keys)
}

func (c *call) deliver(k *keymgmt.Keys) error {
	defer k.Bytes.Zeroise()
	if len(k.IDs) != 1 || k.Bytes.Len() != k.Size {
		return qsc.E("skip", qsc.Corrupt, "", "the supply gave %d keys for one", len(k.IDs))
	}
	c.room(64 + 2*k.Size)
	c.buf = hex.AppendEncode(append(c.buf, `{"keyId":"`...), k.IDs[0][:])
	c.buf = hex.AppendEncode(append(c.buf, `","key":"`...), k.Bytes.Expose())
	c.buf = append(c.buf, `"}`...)
	return nil
}

// room makes the buffer large enough beforehand: growing would leave copies.
func (c *call) room(n int) {
	if cap(c.buf) < n {
		c.buf = make([]byte, 0, n)
	}
}

// entropy answers GET /entropy. Every bit given has one bit of min-entropy.
func (c *call) entropy() error {
	n, err := c.bits("minentropy")
	if err != nil {
		return err
	}
	if n > maxEntropy {
		return fault("minentropy shall be at most %d bits", maxEntropy)
	}
	random := make([]byte, (n+7)/8)
	defer clear(random)
	if _, err := c.s.cfg.Supply.Random(c.ctx, random, keymgmt.AnyClass); err != nil {
		return err
	}
	c.room(64 + 2*len(random))
	c.buf = hex.AppendEncode(append(c.buf, `{"randomStr":"`...), random)
	c.buf = append(strconv.AppendInt(append(c.buf, `","minentropy":`...), int64(8*len(random)), 10), '}')
	return nil
}

// fail turns an error into one of the draft's codes: it knows no 401.
func (s *Server) fail(w http.ResponseWriter, err error) {
	switch kind := qsc.KindOf(err); kind {
	case qsc.NotFound:
		refuse(w, http.StatusBadRequest, "keyId is unknown, expired or already fetched")
	case qsc.Invalid, qsc.Denied, qsc.Unsupported:
		refuse(w, http.StatusBadRequest, cause(err))
	case qsc.Exhausted, qsc.Unreachable, qsc.Timeout, qsc.Busy:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "not ready: "+kind.String())
	default:
		s.log.Warn("a SKIP request failed", "node", s.cfg.Node, "err", err)
		refuse(w, http.StatusInternalServerError, "the request failed: "+kind.String())
	}
}

// cause is the text of an error without operation and node.
func cause(err error) string {
	var e *qsc.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return "the request cannot be met"
}

func refuse(w http.ResponseWriter, status int, message string) {
	b, err := json.Marshal(struct {
		Message string `json:"message"`
	}{message})
	if err != nil {
		b = nil
	}
	send(w, status, b)
}

func send(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a caller that is gone has lost its key
}
