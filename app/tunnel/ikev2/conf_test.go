package ikev2

import (
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

const sample = `# two children
connections {
  site-b {
    local_addrs = 192.0.2.1
    remote_addrs = 198.51.100.1, 198.51.100.2   # either
    local {
      id = "alice \"a\"\
x"
      auth = pubkey }
    children {
      net { local_ts = 10.0.0.0/24
      }
      lab { }
    }
  }
  site-b { version = 2 }
}
`

func TestParseConn(t *testing.T) {
	c, err := ParseConn([]byte(sample), "site-b", "net")
	if err != nil {
		t.Fatal(err)
	}
	m := c.message(map[string]string{"ppk_id": "k"}, map[string]string{"reqid": "7"}).Section("site-b")
	if got := m.GetList("remote_addrs"); len(got) != 2 || got[1] != "198.51.100.2" {
		t.Errorf("remote_addrs %q", got)
	}
	if got := m.Section("local").Get("id"); got != "alice \"a\"\nx" {
		t.Errorf("id %q", got)
	}
	for name, want := range map[string]string{"ppk_id": "k", "ppk_required": "yes", "unique": "never", "version": "2"} {
		if got := m.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	net := m.Section("children").Section("net")
	if net.Get("reqid") != "7" || net.GetList("local_ts")[0] != "10.0.0.0/24" || m.Section("children").Section("lab") == nil {
		t.Errorf("children %+v", m.Section("children"))
	}
	if c.child().Get("reqid") != "" {
		t.Error("the override changed the connection itself")
	}
}

func TestParseConnFaults(t *testing.T) {
	deep := strings.Repeat("a {", maxDepth+2)
	for text, want := range map[string]struct {
		kind qsc.Kind
		says string
	}{
		"": {qsc.NotFound, "no connections"},
		"connections { b { children { n { } } } }":                 {qsc.NotFound, "{ a {"},
		"connections { a { children { n { } m { } } } }":           {qsc.NotFound, "name the one"},
		"connections { a { } }":                                    {qsc.NotFound, "children"},
		"connections { a { version = 1\nchildren { n { } } }":      {qsc.Invalid, "missing"},
		"connections {\n a { version = 1\n children { n { } } } }": {qsc.Unsupported, "version = 2"},
		"connections {\n a { local { certs = x.pem\n } } }":        {qsc.Invalid, "line 2"},
		"include x.conf\n":                                         {qsc.Invalid, "include"},
		"\n\na : b { }":                                            {qsc.Invalid, "line 3"},
		"}":                                                        {qsc.Invalid, "closes nothing"},
		"a = \"x":                                                  {qsc.Invalid, "quoted"},
		"a b":                                                      {qsc.Invalid, "neither"},
		"= x":                                                      {qsc.Invalid, "name"},
		"\x00":                                                     {qsc.Invalid, "NUL"},
		deep:                                                       {qsc.Invalid, "more than"},
		strings.Repeat("#", maxFile+1):                             {qsc.Invalid, "larger"},
	} {
		_, err := ParseConn([]byte(text), "a", "")
		if !qsc.IsKind(err, want.kind) || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%.40q: %v, want %v saying %q", text, err, want.kind, want.says)
		}
	}
}

func FuzzConf(f *testing.F) {
	for _, s := range []string{sample, "a = b", "a { b = \"c\" }", "include x", "a : b {", "a {", "}", "#"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := parseConf(text)
		if err != nil {
			if !qsc.IsKind(err, qsc.Invalid) {
				t.Errorf("kind %v", qsc.KindOf(err))
			}
			return
		}
		_ = cutLists(root)
		_, _ = ParseConn(text, "a", "")
	})
}
