package enrol

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Bounds of a directory.
const (
	MaxSAEs  = 100_000
	MaxPairs = 1_000_000
)

// SAE is an application and the node that serves it.
type SAE struct {
	ID          qsc.AppID  `json:"id"`
	Node        qsc.NodeID `json:"node"`
	Fingerprint string     `json:"fingerprint,omitempty"` // SHA-256 of the only certificate that counts, lower-case hexadecimal; "": any of the CA's

	line int
}

// Any in the place of an SAE ID of a pair means every SAE.
const Any = qsc.AppID("*")

// Pair says that Master may share key with Slave, and how.
type Pair struct {
	Master   qsc.AppID      `json:"master"` // or Any
	Slave    qsc.AppID      `json:"slave"`  // or Any
	Policy   keymgmt.Policy `json:"policy"`
	BothWays bool           `json:"both_ways,omitempty"` // the slave may also be master

	line int
}

// Parse reads a directory file and returns what may be looked up in it. file
// names it in faults. Every fault is reported at once: the error is of kind
// Invalid and wraps Faults. data is not kept. An empty file is a directory
// without SAEs.
func Parse(file string, data []byte) (*Snapshot, error) {
	r := readBlocks(file, data)
	s := newSnapshot()
	for i := range r.blocks {
		b := &r.blocks[i]
		f := fields{r, b}
		switch {
		case b.name == "sae" && len(s.saes) < MaxSAEs:
			s.addSAE(r, f.sae())
		case b.name == "pair" && len(s.pairs) < MaxPairs:
			s.pairs = append(s.pairs, f.pair())
		case b.name != "":
			r.addf(b.line, "more than %d [[sae]] or %d [[pair]]", MaxSAEs, MaxPairs)
			return nil, r.err()
		}
	}
	for _, p := range s.pairs {
		s.addPair(r, p)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// fields reads the values of one block. A value that is at fault is reported and
// read as its zero value.
type fields struct {
	r *reader
	b *block
}

func (f fields) sae() SAE {
	a := SAE{ID: qsc.AppID(f.text("id", true)), Node: qsc.NodeID(f.text("node", true)), line: f.b.line}
	if a.ID != "" {
		f.check("id", CheckAppID(a.ID))
	}
	if a.Node != "" {
		f.check("node", checkNodeID(a.Node))
	}
	if s := f.text("fingerprint", false); s != "" {
		a.Fingerprint = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(s, "sha256:"), ":", ""))
		if b, err := hex.DecodeString(a.Fingerprint); err != nil || len(b) != 32 {
			f.fault("fingerprint", "fingerprint is the SHA-256 of a certificate, 64 hexadecimal digits, as `qsc ca show` prints it")
		}
	}
	f.done("id, node, fingerprint")
	return a
}

func (f fields) pair() Pair {
	p := Pair{Master: qsc.AppID(f.text("master", true)), Slave: qsc.AppID(f.text("slave", true)), line: f.b.line}
	p.Policy.Protection = f.protection()
	p.Policy.MinRate, p.Policy.MaxRate = f.rate("min"), f.rate("max")
	if p.Policy.MaxRate > 0 && p.Policy.MinRate > p.Policy.MaxRate {
		f.fault("min", "min is more than max")
	}
	p.Policy.Priority = f.integer("priority", 0, 1000)
	p.Policy.TTL = f.span("ttl", time.Second, 366*24*time.Hour)
	p.Policy.Retry = f.span("retry", time.Millisecond, time.Minute)
	p.BothWays = f.boolean("both_ways")
	f.done("master, slave, paths, need, min, max, priority, ttl, retry, both_ways")
	return p
}

// protection reads paths and need: one path unless said otherwise, and all of
// them needed.
func (f fields) protection() keymgmt.Protection {
	p := keymgmt.Protection{Paths: f.integer("paths", 1, keymgmt.MaxPaths), Need: f.integer("need", 1, keymgmt.MaxPaths)}
	if p.Paths == 0 {
		p.Paths = 1
	}
	if p.Need > p.Paths {
		f.fault("need", "need = %d of only %d paths", p.Need, p.Paths)
	}
	if p.Need == 0 {
		p.Need = p.Paths
	}
	return p
}

// get returns a value of a kind, or nil.
func (f fields) get(name string, kind unstable.Kind, word string) *scalar {
	v := f.b.fields[name]
	if v == nil {
		return nil
	}
	v.used = true
	if v.kind != kind {
		f.fault(name, "%s must be %s", name, word)
		return nil
	}
	return v
}

func (f fields) fault(name, format string, args ...any) {
	line := f.b.line
	if v := f.b.fields[name]; v != nil {
		line = v.line
	}
	f.r.addf(line, f.b.name+": "+format, args...)
}

func (f fields) check(name string, err error) {
	if err != nil {
		f.fault(name, "%s", cause(err))
	}
}

func (f fields) text(name string, required bool) string {
	v := f.get(name, unstable.String, "a string")
	switch {
	case v != nil && v.text != "":
		return v.text
	case v != nil:
		f.fault(name, "%s is empty", name)
	case required && f.b.fields[name] == nil:
		f.fault(name, "%s is missing", name)
	}
	return ""
}

func (f fields) integer(name string, low, high int) int {
	v := f.get(name, unstable.Integer, "a whole number")
	if v == nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(v.text, "_", ""), 0, 64)
	if err != nil || n < int64(low) || n > int64(high) {
		f.fault(name, "%s is outside %d to %d", name, low, high)
		return 0
	}
	return int(n)
}

func (f fields) boolean(name string) bool {
	v := f.get(name, unstable.Bool, "true or false")
	return v != nil && v.text == "true"
}

// span reads a time such as "1h30m".
func (f fields) span(name string, low, high time.Duration) time.Duration {
	v := f.get(name, unstable.String, `a string such as "1h"`)
	if v == nil {
		return 0
	}
	d, err := time.ParseDuration(v.text)
	if err != nil || d < low || d > high {
		f.fault(name, "%s = %s is not a time from %v to %v such as \"30s\" or \"1h\"", name, quote(v.text), low, high)
		return 0
	}
	return d
}

func (f fields) rate(name string) qsc.BitRate {
	v := f.get(name, unstable.String, `a string such as "100 kbit/s"`)
	if v == nil {
		return 0
	}
	rate, err := ParseRate(v.text)
	f.check(name, err)
	return rate
}

// done reports what nobody asked for.
func (f fields) done(known string) {
	for name, v := range f.b.fields {
		if !v.used {
			f.r.addf(v.line, "%s: unknown key %s; known are %s", f.b.name, quote(name), known)
		}
	}
}

var rateUnits = map[string]float64{"bit/s": 1, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9, "Tbit/s": 1e12}

// ParseRate reads a rate as network descriptions do: "100 kbit/s", "1.5Mbit/s"
// or "300 kbps", up to 1000 Tbit/s. Errors: Invalid.
func ParseRate(s string) (qsc.BitRate, error) {
	end := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 1 || len(s) > 40 {
		return 0, invalid("%s is not a rate such as \"100 kbit/s\"", quote(s))
	}
	unit := strings.TrimSpace(s[end:])
	if prefix, ok := strings.CutSuffix(unit, "bps"); ok {
		unit = prefix + "bit/s"
	}
	n, err := strconv.ParseFloat(s[:end], 64)
	scale := rateUnits[unit]
	if err != nil || scale == 0 || math.IsInf(n, 0) || n*scale > 1e15 {
		return 0, invalid("%s is not a rate in bit/s, kbit/s, Mbit/s, Gbit/s or Tbit/s", quote(s))
	}
	return qsc.BitRate(n * scale), nil
}

// cause is the text of an error without its operation and kind.
func cause(err error) string {
	if e, ok := err.(*qsc.Error); ok && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}
