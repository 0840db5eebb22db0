// Package etsi004 is the wire of ETSI GS QKD 004 V2.1.1 in the binary profile
// that the field uses over TLS, and a client of it. No wire format is
// standardised; this one goes back to the sample code of ETSI's forge.
//
// It serves nobody (package gateway/etsi004) and makes no key.
package etsi004

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/quantum-secure-cloud/qsc"
)

// Port is where a KME listens by default.
const Port = 25575

// Limits of what is read, in bytes.
const (
	HeaderSize = 8
	MimeSize   = 256
	IDSize     = 16
	MaxURI     = 1024      // source or destination
	MaxChunk   = 16 << 20  // key of one answer that a client accepts
	MaxMeta    = 64 << 10  // metadata of one answer that a client accepts
	qosSize    = 7*4 + 256 //
	minOpen    = 2 + qosSize + IDSize
	maxOpen    = minOpen + 2*MaxURI
	getSize    = IDSize + 4 + 4
	getHead    = 4 + 4 + 4 // status, index, key length
	openAnswer = 4 + qosSize + IDSize
)

// version of the profile: 1.0.1.
var version = [3]byte{1, 0, 1}

// Service is the type of a message.
type Service uint8

// The services.
const (
	OpenRequestType   Service = 0x02
	OpenResponseType  Service = 0x03
	GetRequestType    Service = 0x04
	GetResponseType   Service = 0x05
	CloseRequestType  Service = 0x08
	CloseResponseType Service = 0x09
)

// Status is the outcome of a call (GS QKD 004 clause 6, status values).
type Status uint32

// The statuses.
const (
	OK             Status = iota
	NoPeerYet             // OPEN_CONNECT: connected, the peer is not yet
	Insufficient          // GET_KEY: not enough key
	PeerAway              // GET_KEY: the peer is not connected
	NoConnection          // no QKD connection
	InUse                 // OPEN_CONNECT: the key stream ID is in use
	TimedOut              //
	QoSNotMet             // OPEN_CONNECT: a counter-proposal is returned
	MetadataTooBig        // GET_KEY: the room for metadata is too small; no key was taken
	statusCount
)

var statusText = [statusCount]string{
	"successful", "connected, but the peer is not yet", "not enough key is there", "the peer application is not connected",
	"no QKD connection between the two", "the key stream ID is in use", "the time is up",
	"the quality asked for cannot be met, a counter-proposal is returned", "the room for metadata is too small",
}

// String returns the status in words.
func (s Status) String() string {
	if s < statusCount {
		return statusText[s]
	}
	return fmt.Sprintf("status %d", uint32(s))
}

var statusKind = [statusCount]qsc.Kind{
	qsc.Other, qsc.Unreachable, qsc.Exhausted, qsc.Unreachable, qsc.NotFound, qsc.Busy, qsc.Timeout, qsc.Unsupported, qsc.Invalid,
}

// StatusError is the cause in the error of a call that ended with a status
// above NoPeerYet.
type StatusError struct {
	Status Status
	Index  uint32 // of GET_KEY: the index the answer names; ours names the next one that may still be had
	Needed uint32 // with MetadataTooBig: bytes of room
}

// Error returns the status in words.
func (e *StatusError) Error() string {
	return fmt.Sprintf("the KME answers status %d: %s", uint32(e.Status), e.Status)
}

// QoS is the quality of service of a stream. Zero is the KME's choice.
type QoS struct {
	ChunkSize uint32 // bytes in one answer
	MaxBps    uint32 // bit/s
	MinBps    uint32 // bit/s
	Jitter    uint32 // bit/s
	Priority  uint32
	Timeout   uint32 // ms
	TTL       uint32 // s
	Mimetype  string // of the metadata; "": none; at most 255 bytes
}

// StatusOf returns the status that err carries, OK for nil, and false when err
// came from elsewhere.
func StatusOf(err error) (Status, bool) {
	if err == nil {
		return OK, true
	}
	var e *StatusError
	if errors.As(err, &e) {
		return e.Status, true
	}
	return OK, false
}

// Mimetypes of metadata. JSON is the one that the standard demands; QSC adds the
// security class as a member "class".
const (
	JSON = "application/json"
	QSC  = "application/vnd.qsc+json"
)

// KSID is a key stream ID: a UUID of version 4, or zeros for NULL.
type KSID [IDSize]byte

// String returns the lower-case UUID text.
func (k KSID) String() string { return qsc.KeyID(k).String() }

// Header begins every message.
type Header struct {
	Service Service
	Length  uint32 // bytes of payload
}

// putHeader writes a header to the front of b.
func putHeader(b []byte, s Service, length int) {
	copy(b, version[:])
	b[3] = byte(s)
	binary.BigEndian.PutUint32(b[4:], uint32(length))
}

// ParseHeader reads the 8 bytes of a header. Error: Unsupported for another
// version of the profile.
func ParseHeader(b []byte) (Header, error) {
	if len(b) != HeaderSize {
		return Header{}, qsc.E("etsi004.ParseHeader", qsc.Corrupt, "", "a header has %d bytes, not %d", HeaderSize, len(b))
	}
	if [3]byte(b) != version {
		return Header{}, qsc.E("etsi004.ParseHeader", qsc.Unsupported, "", "version %d.%d.%d of the protocol: this is 1.0.1", b[0], b[1], b[2])
	}
	return Header{Service(b[3]), binary.BigEndian.Uint32(b[4:])}, nil
}

// RequestLimit returns how long the payload of a request may be, and false for
// what is no request.
func RequestLimit(s Service) (uint32, bool) {
	switch s {
	case OpenRequestType:
		return maxOpen, true
	case GetRequestType:
		return getSize, true
	case CloseRequestType:
		return IDSize, true
	}
	return 0, false
}
