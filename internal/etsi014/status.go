package etsi014

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/quantum-secure-cloud/qsc"
)

// Status is the answer to Get status (clause 6.1). Sizes are bits. Append clamps
// every integer to MaxInt.
type Status struct {
	SourceKME, TargetKME string
	Master, Slave        string
	KeySize              int64
	Stored, MaxKeys      int64
	MaxPerRequest        int64
	MaxSize, MinSize     int64
	MaxSlaves            int64
	Extension            []byte // status_extension as JSON; nil: none
}

// Append writes the status as JSON. max_key_count is at least stored_key_count
// and max_key_size at least key_size, for strict clients.
func (st *Status) Append(dst []byte) []byte {
	dst = append(dst, '{')
	for _, f := range []struct{ name, text string }{
		{"source_KME_ID", st.SourceKME}, {"target_KME_ID", st.TargetKME}, {"master_SAE_ID", st.Master}, {"slave_SAE_ID", st.Slave},
	} {
		dst = append(append(append(dst, '"'), f.name...), `":`...)
		dst = append(appendText(dst, f.text), ',')
	}
	for i, f := range []struct {
		name string
		n    int64
	}{
		{"key_size", st.KeySize}, {"stored_key_count", st.Stored}, {"max_key_count", max(st.MaxKeys, st.Stored)},
		{"max_key_per_request", st.MaxPerRequest}, {"max_key_size", max(st.MaxSize, st.KeySize)},
		{"min_key_size", min(st.MinSize, st.KeySize)}, {"max_SAE_ID_count", st.MaxSlaves},
	} {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), f.name...), `":`...)
		dst = strconv.AppendInt(dst, min(max(f.n, 0), MaxInt), 10)
	}
	if st.Extension != nil {
		dst = append(append(dst, `,"status_extension":`...), st.Extension...)
	}
	return append(dst, '}')
}

// DecodeStatus reads a status of any KME. Error: Corrupt.
func DecodeStatus(b []byte) (*Status, error) {
	s := newScanner(b)
	st := &Status{}
	s.object(func(name []byte) { st.member(s, string(name)) })
	if err := s.end(); err != nil {
		return nil, qsc.E("etsi014.Decode", qsc.Corrupt, "", "the KME's status cannot be used: %w", err)
	}
	return st, nil
}

func (st *Status) member(s *scanner, name string) {
	texts := map[string]*string{"source_KME_ID": &st.SourceKME, "target_KME_ID": &st.TargetKME, "master_SAE_ID": &st.Master, "slave_SAE_ID": &st.Slave}
	numbers := map[string]*int64{
		"key_size": &st.KeySize, "stored_key_count": &st.Stored, "max_key_count": &st.MaxKeys, "max_key_per_request": &st.MaxPerRequest,
		"max_key_size": &st.MaxSize, "min_key_size": &st.MinSize, "max_SAE_ID_count": &st.MaxSlaves,
	}
	text, number := texts[name], numbers[name]
	switch {
	case s.null():
	case text != nil:
		*text = string(s.text())
	case number != nil:
		*number = s.integer(name)
	case name == "status_extension":
		st.Extension = slices.Clone(s.value())
	default:
		s.value()
	}
}

// AppendError writes an Error (clause 6.5).
func AppendError(dst []byte, message string) []byte {
	return append(appendText(append(dst, `{"message":`...), message), '}')
}

// errorMessage reads what a KME says of an error, at most 200 bytes of it.
func errorMessage(b []byte) string {
	var e struct{ Message string }
	if json.Unmarshal(b, &e) != nil {
		return ""
	}
	return e.Message[:min(len(e.Message), 200)]
}
