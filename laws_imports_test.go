package qsc_test

import (
	"strings"
	"testing"
)

const whyDown = `
Why: one floor is one layer of the field's model (ITU-T Y.3800). While imports go
down only, each floor can be read, tested and replaced without the ones above.`

const whyContract = `
Why: behind a floor's contract its rooms can be exchanged (a QKD device for a
simulated link, a bucket for a disk). Only node/ and sim/, which put rooms
together, name them.`

// floors gives every top-level directory its height. its and fips, kms and mpc
// stand side by side and do not see each other.
var floors = map[string]int{
	"cmd": 12, "sim": 11, "node": 10, "gateway": 9, "app": 8, "kms": 7, "mpc": 7,
	"cloud": 6, "transport": 5, "control": 4, "keymgmt": 3, "quantum": 2, "its": 1, "fips": 1,
}

// These floors have no contract: their packages are imported as they are.
var doorless = map[string]bool{"its": true, "fips": true, "app": true}

// The binary takes the rooms of these floors: its configuration and wiring
// (node, sim), its operators' doors (gateway), what it runs for users (app) and the
// kernels it measures (its).
var wired = map[string]bool{"node": true, "sim": true, "gateway": true, "app": true, "its": true}

// Law 1.
func TestLaw1ImportsGoDownOnly(t *testing.T) {
	for _, s := range load(t, true) {
		if s.dir == "." && s.test {
			continue // the laws look at every floor
		}
		for _, path := range s.imports() {
			inside := path == module || strings.HasPrefix(path, module+"/")
			if s.dir == "." && (inside || strings.Contains(path, ".")) {
				t.Errorf("%s imports %s: package qsc holds the nouns of all floors and imports the standard library only; put what needs more on a floor", s.path, path)
			}
			if !inside || s.dir == "." {
				continue
			}
			if fault := judge(s.dir, strings.TrimPrefix(strings.TrimPrefix(path, module), "/"), s.test || testKit(s.dir)); fault != "" {
				t.Errorf("%s imports %s: %s", s.path, path, fault)
			}
		}
	}
}

// judge says what is wrong with an import of one package of the module by
// another, or nothing. Tests may name rooms and test kits of lower floors.
func judge(from, to string, test bool) string {
	a, _, _ := strings.Cut(from, "/")
	b, _, inRoom := strings.Cut(to, "/")
	switch {
	case to == "":
		return ""
	case testKit(to) && !test:
		return "a test kit is for tests; move what is needed to a package of its own."
	case b == "internal":
		return ""
	case a == "internal":
		return "internal/ is the shaft that all floors share: it imports qsc and internal only. Hand in what it needs as an argument." + whyDown
	case floors[a] == 0 || floors[b] == 0:
		return "a top-level directory without a floor: give it its height in the table of this law, in the order of docs/architecture.md." + whyDown
	case a == b:
		return ""
	case a == "keymgmt" && b == "control":
		return "keymgmt never imports control. Declare a narrow interface in keymgmt that control fills." + whyDown
	case floors[b] >= floors[a]:
		return "imports go down only. Let the lower floor declare an interface, and node/ hand the higher floor's value in." + whyDown
	case a == "cmd" && !wired[b]:
		return "the binary wires flags and nothing else: go through node/ or a gateway." + whyDown
	case a == "cmd" || a == "node" || a == "sim" || doorless[b] || !inRoom || test:
		return ""
	}
	return "a room of another floor. Import the contract package " + b + " and let node/ hand the room in." + whyContract
}

// The law sees what it is for.
func TestLaw1Judges(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test, ok bool
	}{
		{"cloud/vault", "its/share", false, true},
		{"cloud/vault", "cloud/chunk", false, true},
		{"cloud/site/remote", "transport", false, true},
		{"node", "keymgmt/ledger", false, true},
		{"transport", "keymgmt", false, true},
		{"transport", "", false, true},
		{"cloud/site/local", "internal/durable", false, true},
		{"cmd/qsc", "gateway/admin", false, true},
		{"transport", "keymgmt/ledger", true, true},
		{"transport", "keymgmt/ledger", false, false},
		{"keymgmt/ledger", "transport", false, false},
		{"keymgmt/relay", "control", false, false},
		{"its/share", "quantum", true, false},
		{"its/otp", "fips/drbg", false, false},
		{"kms/byok", "mpc", false, false},
		{"internal/wire", "cloud", false, false},
		{"cmd/qsc", "keymgmt/ledger", false, false},
		{"cloud/vault", "cloud/cloudtest", false, false},
		{"attic", "qsc", false, false},
		{"cloud/vault", "attic", false, false},
	} {
		if got := judge(c.from, c.to, c.test); (got == "") != c.ok {
			t.Errorf("%s importing %q (test: %t): %q", c.from, c.to, c.test, got)
		}
	}
}
