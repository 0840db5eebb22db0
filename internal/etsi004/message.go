package etsi004

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
)

// OpenRequest is the call of OPEN_CONNECT.
type OpenRequest struct {
	Source, Destination string // URIs, at most MaxURI bytes, without NUL
	QoS                 QoS
	ID                  KSID
}

// OpenResponse is the answer to it.
type OpenResponse struct {
	Status Status
	QoS    QoS
	ID     KSID
}

// GetRequest is the call of GET_KEY.
type GetRequest struct {
	ID       KSID
	Index    uint32
	MetaRoom uint32 // bytes of metadata that the caller takes
}

// AppendOpenRequest appends the message to b. Error: Invalid for a URI or a
// mimetype that does not fit.
func AppendOpenRequest(b []byte, r OpenRequest) ([]byte, error) {
	for _, s := range []string{r.Source, r.Destination} {
		if !plainText(s) || len(s) > MaxURI {
			return b, qsc.E("etsi004.Open", qsc.Invalid, "", "a URI has at most %d bytes of UTF-8 and no NUL", MaxURI)
		}
	}
	if !plainText(r.QoS.Mimetype) || len(r.QoS.Mimetype) >= MimeSize {
		return b, qsc.E("etsi004.Open", qsc.Invalid, "", "a mimetype has less than %d bytes of UTF-8 and no NUL", MimeSize)
	}
	w := wire.Writer{B: append(b, make([]byte, HeaderSize)...)}
	w.Raw([]byte(r.Source)).U8(0).Raw([]byte(r.Destination)).U8(0)
	writeQoS(&w, r.QoS)
	w.Raw(r.ID[:])
	putHeader(w.B[len(b):], OpenRequestType, len(w.B)-len(b)-HeaderSize)
	return w.B, nil
}

func plainText(s string) bool { return utf8.ValidString(s) && bytes.IndexByte([]byte(s), 0) < 0 }

func writeQoS(w *wire.Writer, q QoS) {
	w.U32(q.ChunkSize).U32(q.MaxBps).U32(q.MinBps).U32(q.Jitter).U32(q.Priority).U32(q.Timeout).U32(q.TTL)
	var mime [MimeSize]byte
	copy(mime[:MimeSize-1], q.Mimetype)
	w.Raw(mime[:])
}

func readQoS(r *wire.Reader) (QoS, error) {
	q := QoS{ChunkSize: r.U32(), MaxBps: r.U32(), MinBps: r.U32(), Jitter: r.U32(), Priority: r.U32(), Timeout: r.U32(), TTL: r.U32()}
	mime := r.Take(MimeSize)
	if mime == nil {
		return q, r.Err()
	}
	text, _, ok := bytes.Cut(mime, []byte{0})
	if !ok || !utf8.Valid(text) {
		return q, qsc.E("etsi004.Parse", qsc.Invalid, "", "the mimetype is no text that ends with a NUL")
	}
	q.Mimetype = string(text)
	return q, nil
}

// ParseOpenRequest reads a payload. Error: Corrupt or Invalid.
func ParseOpenRequest(b []byte) (OpenRequest, error) {
	var o OpenRequest
	if len(b) > maxOpen {
		return o, qsc.E("etsi004.Parse", qsc.Corrupt, "", "a request of %d bytes, at most %d are taken", len(b), maxOpen)
	}
	for _, uri := range []*string{&o.Source, &o.Destination} {
		text, rest, ok := bytes.Cut(b, []byte{0})
		if !ok || len(text) > MaxURI || !utf8.Valid(text) {
			return o, qsc.E("etsi004.Parse", qsc.Invalid, "", "source and destination are texts of at most %d bytes that end with a NUL", MaxURI)
		}
		*uri, b = string(text), rest
	}
	r := wire.NewReader(b)
	var err error
	if o.QoS, err = readQoS(r); err != nil {
		return o, err
	}
	o.ID = r.Array16()
	return o, r.Done()
}

// AppendOpenResponse appends the message to b, in full whatever the status.
func AppendOpenResponse(b []byte, r OpenResponse) []byte {
	w := wire.Writer{B: append(b, make([]byte, HeaderSize)...)}
	w.U32(uint32(r.Status))
	writeQoS(&w, r.QoS)
	w.Raw(r.ID[:])
	putHeader(w.B[len(b):], OpenResponseType, openAnswer)
	return w.B
}

// ParseOpenResponse reads a payload. Some servers send a bare status when the
// call has failed.
func ParseOpenResponse(b []byte) (OpenResponse, error) {
	r := wire.NewReader(b)
	o := OpenResponse{Status: Status(r.U32())}
	if failed(o.Status) && len(b) == 4 {
		return o, nil
	}
	var err error
	if o.QoS, err = readQoS(r); err != nil {
		return o, err
	}
	o.ID = r.Array16()
	return o, r.Done()
}

func failed(s Status) bool { return s > NoPeerYet }

// AppendGetRequest appends the message to b.
func AppendGetRequest(b []byte, g GetRequest) []byte {
	w := wire.Writer{B: append(b, make([]byte, HeaderSize)...)}
	w.Raw(g.ID[:]).U32(g.Index).U32(g.MetaRoom)
	putHeader(w.B[len(b):], GetRequestType, getSize)
	return w.B
}

// ParseGetRequest reads a payload.
func ParseGetRequest(b []byte) (GetRequest, error) {
	r := wire.NewReader(b)
	g := GetRequest{ID: r.Array16(), Index: r.U32(), MetaRoom: r.U32()}
	return g, r.Done()
}

// GetOverhead is what a full answer to GET_KEY has besides key and metadata.
const GetOverhead = HeaderSize + getHead + 4

// KeyAt is where the key begins in a full answer to GET_KEY.
const KeyAt = HeaderSize + getHead

// SealGetResponse makes b, whose bytes from KeyAt on are chunk bytes of key, a
// full answer: it writes what stands before the key and appends the metadata.
// b has room for all, so that the key is not copied.
func SealGetResponse(b []byte, index uint32, chunk int, meta []byte) []byte {
	b = b[:KeyAt+chunk]
	putHeader(b, GetResponseType, getHead+chunk+4+len(meta))
	binary.BigEndian.PutUint32(b[HeaderSize:], uint32(OK))
	binary.BigEndian.PutUint32(b[HeaderSize+4:], index)
	binary.BigEndian.PutUint32(b[HeaderSize+8:], uint32(chunk))
	b = binary.BigEndian.AppendUint32(b, uint32(len(meta)))
	return append(b, meta...)
}

// AppendGetFailure appends an answer without key. With MetadataTooBig it holds
// the room needed and nothing else.
func AppendGetFailure(b []byte, s Status, index, needed uint32) []byte {
	w := wire.Writer{B: append(b, make([]byte, HeaderSize)...)}
	w.U32(uint32(s))
	if s == MetadataTooBig {
		w.U32(needed)
	} else {
		w.U32(index).U32(0).U32(0)
	}
	putHeader(w.B[len(b):], GetResponseType, len(w.B)-len(b)-HeaderSize)
	return w.B
}

// AppendCloseRequest appends the message to b.
func AppendCloseRequest(b []byte, id KSID) []byte {
	w := wire.Writer{B: append(b, make([]byte, HeaderSize)...)}
	putHeader(w.B[len(b):], CloseRequestType, IDSize)
	return w.Raw(id[:]).B
}

// ParseCloseRequest reads a payload.
func ParseCloseRequest(b []byte) (KSID, error) {
	r := wire.NewReader(b)
	id := KSID(r.Array16())
	return id, r.Done()
}

// AppendCloseResponse appends the message to b.
func AppendCloseResponse(b []byte, s Status) []byte {
	w := wire.Writer{B: append(b, make([]byte, HeaderSize)...)}
	putHeader(w.B[len(b):], CloseResponseType, 4)
	return w.U32(uint32(s)).B
}

// ParseCloseResponse reads a payload.
func ParseCloseResponse(b []byte) (Status, error) {
	r := wire.NewReader(b)
	s := Status(r.U32())
	return s, r.Done()
}
