package topology

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
)

// readPreset reads a device pair of the file's own:
//
//	[[preset]]
//	id   = "our-lab"
//	base = "tokyo-45km"
//	parameters = { eta_det = 0.25, p_dc = 2e-6 }
func readPreset(c record) Preset {
	p := Preset{ID: c.id("id", true), Base: c.id("base", true), Params: map[string]any{}}
	if f, ok := c.want("parameters", unstable.InlineTable, false); ok {
		for _, v := range f.val.table.fields {
			if x, ok := c.parameter(v); ok {
				p.Params[v.key] = x
			}
		}
	}
	c.closeUnknown("id, base, parameters")
	return p
}

const maxParameter = 100 // bytes of a name, and of a text

// parameter is a number, a truth or a word.
func (c record) parameter(f field) (any, bool) {
	if f.key == "" || len(f.key) > maxParameter || len(f.val.text) > maxParameter || strings.ContainsFunc(f.key+f.val.text, unicode.IsControl) {
		c.r.addf(f.at, "preset: a parameter's name or value is empty, longer than %d bytes or has control characters", maxParameter)
		return nil, false
	}
	switch f.val.kind {
	case unstable.String:
		return f.val.text, true
	case unstable.Bool:
		return f.val.text == "true", true
	case unstable.Integer, unstable.Float:
		v, err := strconv.ParseFloat(strings.ReplaceAll(f.val.text, "_", ""), 64)
		if err == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			return v, true
		}
	}
	c.r.addf(f.val.at, "preset: parameter %s must be a decimal number, true, false or a string", quote(f.key))
	return nil, false
}

// checkPresets reports a preset that begins with itself, and one that a link of
// no device names.
func (d *decoded) checkPresets() {
	for i, p := range d.net.Presets {
		if p.ID == p.Base && p.ID != "" {
			d.presets[i].r.addf(d.presets[i].place("base"), "preset: %s cannot be its own base", quote(p.ID))
		}
	}
	for i, l := range d.net.Links {
		if k, ok := kindOf(l.Kind); ok && !k.Physical && l.Preset != "" {
			d.links[i].r.addf(d.links[i].place("preset"), "link: a %s link has no device; leave preset out", l.Kind)
		}
	}
}

// Preset returns the preset of the file with the given id.
func (n *Network) Preset(id string) (Preset, bool) {
	for _, p := range n.Presets {
		if p.ID == id {
			return p, true
		}
	}
	return Preset{}, false
}

func (p Preset) marshal(b *bytes.Buffer) {
	b.WriteString("\n[[preset]]\n")
	line(b, "id", quoted(p.ID))
	line(b, "base", quoted(p.Base))
	if len(p.Params) == 0 {
		return
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(p.Params)) {
		parts = append(parts, quoted(name)+" = "+parameterText(p.Params[name]))
	}
	line(b, "parameters", "{ "+strings.Join(parts, ", ")+" }")
}

func parameterText(v any) string {
	switch v := v.(type) {
	case string:
		return quoted(v)
	case bool:
		return strconv.FormatBool(v)
	}
	s := strconv.FormatFloat(v.(float64), 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}
