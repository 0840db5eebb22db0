package topology

import (
	"reflect"
	"testing"
)

func TestBuiltinsRoundTrip(t *testing.T) {
	for _, name := range Builtins() {
		n, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if n.Name != name {
			t.Errorf("network %s is called %s", name, n.Name)
		}
		back, err := Parse("marshalled", n.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(n, back) {
			t.Errorf("%s changes on its way through Marshal:\n%+v\n%+v", name, n, back)
		}
		if err := n.Runnable(); err != nil {
			t.Errorf("%s cannot be run: %v", name, err)
		}
	}
}
