package etsi004

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Metadata is what is told of a chunk (GS QKD 004 clause 6, Metadata).
type Metadata struct {
	Age   time.Duration // since the key became available, in whole milliseconds
	Hops  uint32        // trusted nodes between the ends; 0: direct
	Class qsc.Class     // of the key; with the mimetype QSC only
	Known bool          // whether Class was told
}

// MetadataRoom returns the most bytes that AppendMetadata writes for a mimetype,
// and false for one it does not know. A GET_KEY with less room is refused before
// key is taken, whatever the numbers turn out to be.
func MetadataRoom(mimetype string) (int, bool) {
	const plain = len(`{"age":4294967295,"hops":4294967295}`)
	switch mimetype {
	case "":
		return 0, true
	case JSON:
		return plain, true
	case QSC:
		return plain + len(`,"class":""`) + len((^qsc.Class(0)).String()), true
	}
	return 0, false
}

// AppendMetadata appends m in the form of the mimetype.
func AppendMetadata(b []byte, mimetype string, m Metadata) []byte {
	if mimetype == "" {
		return b
	}
	b = append(b, `{"age":`...)
	b = strconv.AppendInt(b, min(max(0, m.Age.Milliseconds()), 1<<32-1), 10)
	b = append(b, `,"hops":`...)
	b = strconv.AppendUint(b, uint64(m.Hops), 10)
	if mimetype == QSC {
		b = append(b, `,"class":"`...)
		b = append(b, m.Class.String()...)
		b = append(b, '"')
	}
	return append(b, '}')
}

// ParseMetadata reads metadata in JSON. Members it does not know are left out;
// empty metadata is no metadata. Error: Corrupt.
func ParseMetadata(b []byte) (Metadata, error) {
	if len(b) == 0 {
		return Metadata{}, nil
	}
	var v struct {
		Age   uint32     `json:"age"`
		Hops  uint32     `json:"hops"`
		Class *qsc.Class `json:"class"`
	}
	if len(b) > MaxMeta {
		return Metadata{}, qsc.E("etsi004.Parse", qsc.Corrupt, "", "metadata of %d bytes, at most %d are taken", len(b), MaxMeta)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return Metadata{}, qsc.E("etsi004.Parse", qsc.Corrupt, "", "the metadata is not the JSON of the standard: %w", err)
	}
	m := Metadata{Age: time.Duration(v.Age) * time.Millisecond, Hops: v.Hops, Known: v.Class != nil}
	if v.Class != nil {
		m.Class = *v.Class
	}
	return m, nil
}
