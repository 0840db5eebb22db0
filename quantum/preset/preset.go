// Package preset knows every device pair that comes with the program by name, and
// changes single parameters of one by their names.
//
// It opens nothing and computes no rate: devices do, at either fidelity.
package preset

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bb84"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/cvqkd"
	"github.com/quantum-secure-cloud/qsc/quantum/mdi"
	"github.com/quantum-secure-cloud/qsc/quantum/repeater"
	"github.com/quantum-secure-cloud/qsc/quantum/satellite"
	"github.com/quantum-secure-cloud/qsc/quantum/twinfield"
)

// sources are the kinds' own lists.
var sources = []func() []quantum.Preset{bb84.Presets, bbm92.Presets, cvqkd.Presets, mdi.Presets, repeater.Presets, satellite.Presets, twinfield.Presets}

// All returns every preset, ordered by kind and name.
var All = sync.OnceValue(func() []quantum.Preset {
	var all []quantum.Preset
	for _, s := range sources {
		all = append(all, s()...)
	}
	slices.SortFunc(all, func(a, b quantum.Preset) int {
		if c := strings.Compare(a.Device.Kind(), b.Device.Kind()); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
})

// Find returns the preset of that name. Error: NotFound, with the names there
// are.
func Find(name string) (quantum.Preset, error) {
	var names []string
	for _, p := range All() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return quantum.Preset{}, qsc.E("preset.Find", qsc.NotFound, name, "no such preset; there are %s", strings.Join(names, ", "))
}

// Change returns a copy of p under a new name, with the parameters of the given
// names set; that of a part is named "part.parameter". Errors: Invalid, naming
// what does not exist or does not fit.
func Change(p quantum.Preset, name string, params map[string]any) (quantum.Preset, error) {
	fail := func(format string, args ...any) (quantum.Preset, error) {
		return p, qsc.E("preset.Change", qsc.Invalid, name, format, args...)
	}
	text, err := json.Marshal(p.Device)
	if err != nil {
		return fail("%w", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return fail("%w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(params)) {
		set(tree, strings.Split(key, "."), params[key])
	}
	if text, err = json.Marshal(tree); err != nil {
		return fail("%w", err)
	}
	fresh := reflect.New(reflect.TypeOf(p.Device))
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(fresh.Interface()); err != nil {
		return fail("a parameter does not fit a device of kind %s: %w", p.Device.Kind(), err)
	}
	p.Name, p.Device = name, fresh.Elem().Interface().(quantum.Device)
	if _, err := p.Device.Predict(quantum.Channel{Loss: 10, Distance: 50}); err != nil {
		return fail("%w", err)
	}
	return p, nil
}

// set puts a value at a path of names.
func set(tree map[string]any, path []string, value any) {
	for ; len(path) > 1; path = path[1:] {
		next, ok := tree[path[0]].(map[string]any)
		if !ok {
			next = map[string]any{}
			tree[path[0]] = next
		}
		tree = next
	}
	tree[path[0]] = value
}

// Params returns every parameter of a device by name, parts as "part.parameter".
func Params(d quantum.Device) map[string]any {
	out := map[string]any{}
	text, err := json.Marshal(d)
	if err != nil {
		return out
	}
	var tree map[string]any
	if json.Unmarshal(text, &tree) == nil {
		flatten(out, "", tree)
	}
	return out
}

func flatten(out map[string]any, prefix string, tree map[string]any) {
	for k, v := range tree {
		if sub, ok := v.(map[string]any); ok {
			flatten(out, prefix+k+".", sub)
			continue
		}
		out[prefix+k] = v
	}
}
