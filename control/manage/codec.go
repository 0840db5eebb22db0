package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Bounds of a message on the bus. They are checked before memory is taken.
const (
	MaxMessage = 4 << 20 // bytes
	MaxLinks   = 4096    // of one node
	MaxDemands = 16384   // of one node
	MaxHops    = 1024    // links of one path
	maxKind    = 64      // bytes of a link's kind
	maxNumber  = 1 << 62
)

// The subjects of the bus. The last word is the node's id.
const (
	subjectReport = "qsc.v1.report."
	subjectTable  = "qsc.v1.table."
	subjectHello  = "qsc.v1.hello"
)

// EncodeReport writes a report as JSON. Errors: Invalid when it is not one that
// DecodeReport takes.
func EncodeReport(r control.Report) ([]byte, error) {
	const op = "manage.EncodeReport"
	if err := checkReport(op, r); err != nil {
		return nil, err
	}
	return encode(op, r)
}

// DecodeReport reads a report. Members that it does not know are passed over, so
// that versions can differ. Errors: Invalid.
func DecodeReport(b []byte) (control.Report, error) {
	const op = "manage.DecodeReport"
	var w struct {
		control.Report
		Links   upTo[control.LinkState, links] `json:"links"`
		Demands upTo[control.Demand, demands]  `json:"demands"`
	}
	if err := decode(op, b, &w); err != nil {
		return control.Report{}, err
	}
	r := w.Report
	r.Links, r.Demands = w.Links.list, w.Demands.list
	return r, checkReport(op, r)
}

// EncodeTable writes a table as JSON. Errors: Invalid as EncodeReport.
func EncodeTable(t control.Table) ([]byte, error) {
	const op = "manage.EncodeTable"
	if err := checkTable(op, t); err != nil {
		return nil, err
	}
	return encode(op, t)
}

// DecodeTable reads a table. What it checks is form: whether the paths exist is
// for the Agent. Errors: Invalid.
func DecodeTable(b []byte) (control.Table, error) {
	const op = "manage.DecodeTable"
	type flow struct {
		control.Flow
		Paths upTo[path, paths] `json:"paths"`
	}
	var w struct {
		control.Table
		Flows upTo[flow, demands] `json:"flows"`
	}
	if err := decode(op, b, &w); err != nil {
		return control.Table{}, err
	}
	t := w.Table
	for _, f := range w.Flows.list {
		for _, p := range f.Paths.list {
			f.Flow.Paths = append(f.Flow.Paths, keymgmt.Path(p.list))
		}
		t.Flows = append(t.Flows, f.Flow)
	}
	return t, checkTable(op, t)
}

func encode(op string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err == nil && len(b) > MaxMessage {
		err = errTooLong
	}
	if err != nil {
		return nil, qsc.E(op, qsc.Invalid, "", "%w", err)
	}
	return b, nil
}

var (
	errTooLong = errors.New("the message is longer than the bus carries")
	errTooMany = errors.New("the message has more parts than it may")
)

func decode(op string, b []byte, into any) error {
	if len(b) > MaxMessage {
		return qsc.E(op, qsc.Invalid, "", "%w", errTooLong)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return qsc.E(op, qsc.Invalid, "", "%w", err)
	}
	return nil
}

// upTo is a list that stops being read at its bound.
type upTo[T any, B bound] struct{ list []T }

type path = upTo[qsc.NodeID, hops]

type bound interface{ most() int }

type (
	links   struct{}
	demands struct{}
	paths   struct{}
	hops    struct{}
)

func (links) most() int   { return MaxLinks }
func (demands) most() int { return MaxDemands }
func (paths) most() int   { return keymgmt.MaxPaths }
func (hops) most() int    { return MaxHops + 1 }

// UnmarshalJSON reads element by element. encoding/json has checked the syntax.
func (u *upTo[T, B]) UnmarshalJSON(b []byte) error {
	u.list = nil
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.Join(errors.New("a list was expected"), notEOF(err))
	}
	var limit B
	for d.More() {
		if len(u.list) == limit.most() {
			return errTooMany
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		u.list = append(u.list, v)
	}
	return nil
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// checkReport holds the values against what they can be.
func checkReport(op string, r control.Report) error {
	if !isID(string(r.Node)) || len(r.Links) > MaxLinks || len(r.Demands) > MaxDemands ||
		r.Boot > maxNumber || r.Seq > maxNumber || r.Epoch > maxNumber || r.Version > maxNumber {
		return qsc.E(op, qsc.Invalid, "", "a report names its node, at most %d links and %d demands", MaxLinks, MaxDemands)
	}
	for _, l := range r.Links {
		if l.Link == "" || len(l.Link) > 2*64 || len(l.Kind) > maxKind || l.Send < 0 || l.Recv < 0 || l.Size < 0 ||
			max(l.Send, l.Recv, l.Size) > maxNumber || !isRate(l.Rate) || !(l.QBER >= 0 && l.QBER <= 1) {
			return qsc.E(op, qsc.Invalid, string(r.Node), "a link is reported with a stock or a rate that cannot be")
		}
	}
	for _, d := range r.Demands {
		if d.From != r.Node || d.To == d.From || !isID(string(d.To)) || !isRate(d.Min) || !isRate(d.Max) ||
			d.Max > 0 && d.Min > d.Max || d.TTL < 0 || d.Priority > math.MaxInt32 || d.Priority < math.MinInt32 {
			return qsc.E(op, qsc.Invalid, string(r.Node), "a demand is reported that cannot be")
		}
		if err := checkProtection(op, d.Protection); err != nil {
			return err
		}
	}
	return nil
}

// checkTable holds the form of a table; version 0 is a leader's hello.
func checkTable(op string, t control.Table) error {
	hello := t.Version == 0 && t.Node == "" && len(t.Flows) == 0
	if !hello && !isID(string(t.Node)) || len(t.Flows) > MaxDemands || t.Epoch > maxNumber || t.Version > maxNumber {
		return qsc.E(op, qsc.Invalid, "", "a table names its node and at most %d flows", MaxDemands)
	}
	for _, f := range t.Flows {
		if !isID(string(f.To)) || !isRate(f.Rate) || len(f.Paths) > keymgmt.MaxPaths {
			return qsc.E(op, qsc.Invalid, string(t.Node), "a flow has a destination, a rate and at most %d paths", keymgmt.MaxPaths)
		}
		if err := checkProtection(op, f.Protection); err != nil {
			return err
		}
		for _, p := range f.Paths {
			if p.Hops() > MaxHops {
				return qsc.E(op, qsc.Invalid, string(t.Node), "a path has at most %d links", MaxHops)
			}
		}
	}
	return nil
}
