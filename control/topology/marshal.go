package topology

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Marshal writes n as a description with every default spelled out. Parse of
// the result gives an equal network, if n is one that Parse would accept.
func (n *Network) Marshal() []byte {
	var b bytes.Buffer
	line(&b, "name", quoted(n.Name))
	optional(&b, "title", n.Title)
	for _, s := range n.Sites {
		s.marshal(&b)
	}
	for _, d := range n.Nodes {
		d.marshal(&b)
	}
	for _, l := range n.Links {
		l.marshal(&b)
	}
	for _, p := range n.Presets {
		p.marshal(&b)
	}
	for _, p := range n.Policies {
		p.marshal(&b)
	}
	return b.Bytes()
}

func (s Site) marshal(b *bytes.Buffer) {
	b.WriteString("\n[[site]]\n")
	line(b, "id", quoted(string(s.ID)))
	optional(b, "title", s.Title)
	optional(b, "group", s.Group)
	if s.Location.Known {
		line(b, "location", "["+degrees(s.Location.Lat)+", "+degrees(s.Location.Lon)+"]")
	}
}

func (d Node) marshal(b *bytes.Buffer) {
	b.WriteString("\n[[node]]\n")
	line(b, "id", quoted(string(d.ID)))
	line(b, "site", quoted(string(d.Site)))
	optional(b, "listen", d.Listen)
	line(b, "data", quoted(d.Data))
	optional(b, "metrics", d.Metrics)
}

func (l Link) marshal(b *bytes.Buffer) {
	b.WriteString("\n[[link]]\n")
	line(b, "id", quoted(string(l.ID)))
	line(b, "kind", quoted(l.Kind))
	line(b, "ends", quotedList(l.Ends[:]))
	if l.Distance != 0 {
		line(b, "distance", quoted(FormatDistance(l.Distance)))
	}
	if l.Loss != 0 {
		line(b, "loss", quoted(FormatLoss(l.Loss)))
	}
	optional(b, "preset", l.Preset)
	if l.Rate != 0 {
		line(b, "rate", quoted(FormatRate(l.Rate)))
	}
	line(b, "pad", quoted(FormatSize(l.Pad)))
	line(b, "block", quoted(FormatSize(l.Block)))
}

func (p Policy) marshal(b *bytes.Buffer) {
	b.WriteString("\n[[policy]]\n")
	line(b, "id", quoted(p.ID))
	line(b, "scheme", quoted(p.Scheme))
	line(b, "k", strconv.Itoa(p.K))
	line(b, "n", strconv.Itoa(p.N))
	line(b, "w", strconv.Itoa(p.W))
	line(b, "home", quoted(string(p.Home)))
	line(b, "sites", quotedList(p.Sites))
	line(b, "chunk", quoted(FormatSize(p.Chunk)))
	line(b, "randomness", quoted(p.Randomness))
}

func line(b *bytes.Buffer, key, val string) { fmt.Fprintf(b, "%s = %s\n", key, val) }

func optional(b *bytes.Buffer, key, val string) {
	if val != "" {
		line(b, key, quoted(val))
	}
}

// quoted writes a TOML basic string. Titles hold no control characters, so
// only the quote and the backslash need escaping.
func quoted(s string) string { return `"` + escapes.Replace(s) + `"` }

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func quotedList[T ~string](all []T) string {
	parts := make([]string, len(all))
	for i, s := range all {
		parts[i] = quoted(string(s))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// degrees writes a TOML float, which needs a point.
func degrees(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
