package timetag

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Whatever prints events or values, and whatever holds them, the text does not depend
// on which detectors clicked, when, or on what is kept.
func TestValuesHaveNoPrintedForm(t *testing.T) {
	a := holders(Event{Time: 5, Detectors: 1}, 0)
	b := holders(Event{Time: 0x1234567890ab, Detectors: 10, Rest: 77}, 1)
	for name := range a {
		x, y := printed(t, a[name]), printed(t, b[name])
		for form := range x {
			if x[form] != y[form] {
				t.Errorf("%s printed by %s shows what it holds", name, form)
			}
		}
	}
}

func holders(e Event, kept uint8) map[string]any {
	raw, values := raw(e), &Values{Width: 1, Kept: []uint8{kept, 1}}
	return map[string]any{
		"Event": e, "*Event": &e, "[]Event": []Event{e}, "map of Event": map[string]Event{"e": e}, "struct with Event": struct{ E Event }{e},
		"Raw": *raw, "*Raw": raw, "[]Raw": []Raw{*raw}, "struct with *Raw": struct{ R *Raw }{raw},
		"Values": *values, "*Values": values, "[]Values": []Values{*values}, "struct with Values": struct{ V Values }{*values},
	}
}

// printed gives v in the forms of logs, errors and encoders.
func printed(t *testing.T, v any) map[string]string {
	t.Helper()
	forms := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%b", "%o", "%c", "%U", "%e"} {
		forms[verb] = fmt.Sprintf(verb, v)
	}
	forms["Sprint"], forms["Errorf"] = fmt.Sprint(v), fmt.Errorf("cannot: %v", v).Error()
	b, err := json.Marshal(v)
	forms["json"] = fmt.Sprintf("%s %v", b, err)
	var text, object strings.Builder
	options := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	slog.New(slog.NewTextHandler(&text, options)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&object, options)).Info("x", "v", v)
	forms["slog text"], forms["slog json"] = text.String(), object.String()
	return forms
}
