package qsc

import (
	"encoding/hex"
	"fmt"
)

// NodeID names a trusted node: one process with one directory.
type NodeID string

// SiteID names a storage site: the place where one share of an object lies.
type SiteID string

// AppID names an application: the SAE ID of ETSI GS QKD 014, unique in the
// network, of free format.
type AppID string

// LinkID names a QKD link between two nodes.
type LinkID string

// KeyID is the identifier of a key block or a key: a UUID that says nothing of
// stock or position.
type KeyID [16]byte

// String returns the lower-case UUID text.
func (id KeyID) String() string { return uuidText(id) }

// ObjectID is the random identifier of a stored object. It carries no
// information on name, owner or content.
type ObjectID [16]byte

// String returns the lower-case UUID text.
func (id ObjectID) String() string { return uuidText(id) }

func uuidText(b [16]byte) string {
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Bits is an amount of key.
type Bits int64

// Bytes returns the whole bytes in b.
func (b Bits) Bytes() int64 { return int64(b) / 8 }

// BitRate is a rate in bits per second.
type BitRate float64

var rateUnits = []struct {
	scale float64
	name  string
}{{1e12, "Tbit/s"}, {1e9, "Gbit/s"}, {1e6, "Mbit/s"}, {1e3, "kbit/s"}}

// String prints the rate with a decimal prefix, as the field does.
func (r BitRate) String() string {
	for _, u := range rateUnits {
		if float64(r) >= u.scale {
			return fmt.Sprintf("%.4g %s", float64(r)/u.scale, u.name)
		}
	}
	return fmt.Sprintf("%.4g bit/s", float64(r))
}
