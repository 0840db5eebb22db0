// Package etsi014 holds the messages of ETSI GS QKD 014 V1.1.1 and a client: what
// the gateway that serves the interface and the floors that call it at a vendor's
// KME have in common.
//
// It decides nothing about keys, identities or limits of a KME (gateway/etsi014
// does) and stores none. Whatever it moves is protected by TLS only: class
// Computational.
//
// Key leaves it in two ways: a Container's Bytes, owned by the receiver, and the
// JSON text, which its writer wipes after use. Copies that net/http and
// crypto/tls keep in their buffers until those are used again are out of reach.
package etsi014

import (
	"encoding/hex"

	"github.com/quantum-secure-cloud/qsc"
)

// The error texts that the standard fixes (clause 6), all with status 400.
const (
	TextSize         = "size shall be a multiple of 8"
	TextMandatory    = "not all extension_mandatory parameters are supported"
	TextNotMet       = "not all extension_mandatory request options could be met"
	TextOptional     = "not all extension_optional request options handled"
	TextKeysNotFound = "one or more keys specified are not found on KME"
)

// Bounds of what is read from outside.
const (
	MaxInt        = 1<<31 - 1 // strict clients refuse larger integers
	MaxSAE        = 1024      // bytes of an SAE ID
	MaxKeys       = 4096      // keys or key IDs in one message
	MaxSlaves     = 256       // additional slaves in one request
	MaxExtensions = 64        // extension parameters in one list
	maxDepth      = 16        // of nested JSON
	idLen         = 36        // UUID text
)

// Extension is one vendor parameter of a request. Value is JSON.
type Extension struct {
	Name  string
	Value []byte
}

// KeyRequest is the body of Get key (clause 6.2). Absent integers are 0.
type KeyRequest struct {
	Number    int   // keys; default 1
	Size      int64 // bits; default the KME's
	Slaves    []string
	Mandatory []Extension
	Optional  []Extension
}

// plain reports whether the request can travel as a GET.
func (r *KeyRequest) plain() bool { return len(r.Slaves)+len(r.Mandatory)+len(r.Optional) == 0 }

// Container is the answer to Get key and Get key with key IDs (clause 6.3).
type Container struct {
	IDs       []qsc.KeyID
	Size      int        // bytes of each key
	Bytes     qsc.Secret // len(IDs) × Size; the holder zeroises it
	Extension []byte     // key_container_extension as JSON; nil: none
}

// fault is the error of every decoder.
func fault(format string, args ...any) error {
	return qsc.E("etsi014.Decode", qsc.Invalid, "", format, args...)
}

// ParseID reads a UUID in either case. Error: Invalid.
func ParseID(text []byte) (id qsc.KeyID, err error) {
	if len(text) != idLen || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, fault("a key_ID is not a UUID of 36 characters")
	}
	at := 0
	for _, part := range [5][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		n, err := hex.Decode(id[at:], text[part[0]:part[1]])
		if err != nil {
			return qsc.KeyID{}, fault("a key_ID holds a character that is not hexadecimal")
		}
		at += n
	}
	return id, nil
}

// AppendID writes a UUID in lower case.
func AppendID(dst []byte, id qsc.KeyID) []byte {
	dst = append(hex.AppendEncode(dst, id[:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:])
}
