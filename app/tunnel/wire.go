package tunnel

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
)

// The control connection carries one JSON object a line, a request and then its
// answer. Nothing on it is secret; TLS says who speaks.
const (
	maxLine = 4096 // bytes of a line, its end included
	maxName = 128  // bytes of a tunnel's name
)

// The operations of a request, in the order of a rotation.
const (
	opHello   = "hello"   // take up; Undo names a key that the leader has given up
	opPrepare = "prepare" // fetch the key and stage it
	opSwitch  = "switch"
	opSettle  = "settle"
	opRevert  = "revert"
)

// request is a line from the leader.
type request struct {
	Op     string `json:"op"`
	Tunnel string `json:"tunnel"`
	ID     string `json:"id,omitempty"`
	Undo   string `json:"undo,omitempty"`
}

// answer is a line from the follower.
type answer struct {
	Last  string   `json:"last,omitempty"` // the key both ends last settled on, as the follower knows
	Kind  qsc.Kind `json:"kind,omitempty"`
	Error string   `json:"error,omitempty"`
}

// err returns the failure that an answer tells of.
func (a answer) err() error {
	if a.Error == "" {
		return nil
	}
	return qsc.E("tunnel.Ask", a.Kind, "", "the other end says: %s", a.Error)
}

// readLine returns the next line without its end. A longer line than maxLine is
// Invalid; the connection cannot be used any more.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, qsc.E("tunnel.ReadLine", qsc.Invalid, "", "a line of more than %d bytes on the control connection", maxLine)
	case err != nil && errors.Is(err, io.EOF) && len(line) > 0:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return line[:len(line)-1], nil
}

// strict decodes one JSON object and nothing behind it.
func strict(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return qsc.E("tunnel.Decode", qsc.Invalid, "", "the control connection carries no message of ours: %w", err)
	}
	if d.More() {
		return qsc.E("tunnel.Decode", qsc.Invalid, "", "more than one message on a line")
	}
	return nil
}

// decodeRequest reads and checks a request.
func decodeRequest(line []byte) (r request, id, undo qsc.KeyID, err error) {
	if err := strict(line, &r); err != nil {
		return r, id, undo, err
	}
	if len(r.Tunnel) > maxName {
		return r, id, undo, qsc.E("tunnel.Decode", qsc.Invalid, "", "a tunnel's name of %d bytes; %d is the most", len(r.Tunnel), maxName)
	}
	if r.Op != opHello || r.ID != "" {
		if id, err = ParseKeyID(r.ID); err != nil {
			return r, id, undo, err
		}
	}
	if r.Undo != "" {
		undo, err = ParseKeyID(r.Undo)
	}
	return r, id, undo, err
}

// ParseKeyID reads the UUID text of a key ID, in either case. Errors: Invalid.
func ParseKeyID(s string) (id qsc.KeyID, err error) {
	plain := strings.ReplaceAll(s, "-", "")
	if len(s) != 36 || len(plain) != 32 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, qsc.E("tunnel.ParseKeyID", qsc.Invalid, "", "a key ID is a UUID such as 01234567-89ab-4cde-8f01-23456789abcd")
	}
	if _, err := hex.Decode(id[:], []byte(plain)); err != nil {
		return id, qsc.E("tunnel.ParseKeyID", qsc.Invalid, "", "a key ID is a UUID in hexadecimal digits")
	}
	return id, nil
}
