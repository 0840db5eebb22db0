package topology

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	qsc "github.com/quantum-secure-cloud/qsc"
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
		if err := n.Runnable(); (err == nil) != (len(n.Nodes) <= largestRun) {
			t.Errorf("%s of %d nodes: runnable: %v", name, len(n.Nodes), err)
		}
	}
}

// Whatever is said of the built-in networks elsewhere holds in their files.
func TestBuiltinsAreAsDescribed(t *testing.T) {
	tohoku, tokyo := load(t, "tohoku"), load(t, "tokyo")
	p, _ := tohoku.Policy("")
	if p.ID != "default" || p.K != 2 || p.N != 3 || p.W != 3 || p.Home != "tommo" ||
		!slices.Equal(p.Sites, []qsc.SiteID{"lsa", "hospital", "cloud-1"}) || p.Randomness != RandomOS {
		t.Errorf("tohoku default policy: %+v", p)
	}
	if got := tohoku.Neighbours("tommo"); !slices.Equal(got, []qsc.NodeID{"lsa", "hospital", "cloud-1", "cloud-2", "cloud-3"}) {
		t.Errorf("tommo reaches %v", got)
	}
	for _, l := range tohoku.Links {
		if l.Kind != KindPreshared || l.Rate != 0 {
			t.Errorf("tohoku link %s is not couriered", l.ID)
		}
	}
	if l, ok := tokyo.LinkBetween("otemachi", "koganei"); !ok || l.Distance != 45 || l.Loss != 14.5 || l.Kind != KindBB84 || l.Preset == "" {
		t.Errorf("koganei-otemachi: %+v", l)
	}
	if l, ok := load(t, "tokyo-simulated").LinkBetween("otemachi", "koganei"); !ok || l.Rate != 300e3 || l.Kind != KindSimulated {
		t.Errorf("koganei-otemachi, simulated: %+v", l)
	}
	if _, ok := tokyo.LinkBetween("koganei", "hongo"); ok {
		t.Error("koganei and hongo have a link")
	}
}

func load(t *testing.T, name string) *Network {
	t.Helper()
	n, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const smallest = "name = \"x\"\nsite = [{id = \"a\"}]\nnode = [{id = \"a\"}]\n"

func TestDefaults(t *testing.T) {
	n, err := Parse("t", []byte(`name = "t"
[[site]]
id = "a"
[[site]]
id = "b"
[[node]]
id = "a"
[[node]]
id = "b"
data = "disk2/./b/"
[[link]]
kind = "cv"
ends = ["b", "a"]
[[policy]]
id = "p"
k = 0x2
n = 2
home = "a"
sites = ["a", "b"]
chunk = 65_536
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Network{
		Name:     "t",
		Sites:    []Site{{ID: "a"}, {ID: "b"}},
		Nodes:    []Node{{ID: "a", Site: "a", Data: "a"}, {ID: "b", Site: "b", Data: "disk2/b"}},
		Links:    []Link{{ID: "b-a", Kind: "cv", Ends: [2]qsc.NodeID{"b", "a"}, Pad: DefaultPad, Block: DefaultBlock}},
		Policies: []Policy{{"p", SchemeShamir, 2, 2, 2, "a", []qsc.SiteID{"a", "b"}, 64 << 10, RandomOS}},
	}
	want.idx = newIndex(want)
	if !reflect.DeepEqual(n, want) {
		t.Errorf("got %+v", n)
	}
	if err := n.Runnable(); !qsc.IsKind(err, qsc.Unsupported) || !strings.Contains(err.Error(), "b-a (cv)") {
		t.Errorf("Runnable: %v", err)
	}
}

func TestLookups(t *testing.T) {
	n := load(t, "tohoku")
	byHand := &Network{Sites: n.Sites, Nodes: n.Nodes, Links: n.Links, Policies: n.Policies}
	for _, n := range []*Network{n, byHand} {
		s, ok := n.Site("cloud-2")
		node, okNode := n.NodeAt("cloud-2")
		if !ok || s.Group != "cloud" || !okNode || node.ID != "cloud-2" {
			t.Errorf("cloud-2: %+v %+v", s, node)
		}
		if l, ok := n.Link("tommo-lsa"); !ok || l.Other("lsa") != "tommo" || l.Other("tommo") != "lsa" || l.Other("x") != "" {
			t.Errorf("tommo-lsa: %+v", l)
		}
		if p, ok := n.Policy("hospital"); !ok || p.Home != "hospital" {
			t.Errorf("hospital: %+v", p)
		}
		if len(n.LinksOf("cloud-1")) != 5 || n.LinksOf("x") != nil {
			t.Errorf("links of cloud-1: %v", n.LinksOf("cloud-1"))
		}
		_, site := n.Site("x")
		_, node2 := n.Node("x")
		_, at := n.NodeAt("x")
		_, link := n.Link("x")
		_, policy := n.Policy("x")
		if site || node2 || at || link || policy {
			t.Error("something called x was found")
		}
	}
	if _, ok := (&Network{}).Policy(""); ok {
		t.Error("an empty network has a policy")
	}
	n.Nodes[0].Listen = "127.0.0.1:7101"
	if node, _ := n.Node(n.Nodes[0].ID); node.Listen != "127.0.0.1:7101" {
		t.Error("a lookup misses the address set in place")
	}
}

func TestBadInput(t *testing.T) {
	tohoku := Source("tohoku")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":     {nil, "file is empty"},
		"blank":     {[]byte(" \n\n"), "file is empty"},
		"comments":  {[]byte("# nothing\n"), "missing key \"name\""},
		"binary":    {[]byte("\x7fELF\x02\x01\x01\x00\x00"), "f:1:8: this is a binary file"},
		"latin-1":   {[]byte("name = \"x\"\ntitle = \"Universit\xe4t\"\n"), "f:2:19: the text is not UTF-8"},
		"json":      {[]byte(`{"name": "x"}`), "f:1:1: TOML syntax"},
		"yaml":      {[]byte("name: x\nsites:\n  - a\n"), "f:1:5: TOML syntax"},
		"truncated": {tohoku[:bytes.LastIndexByte(tohoku, '"')], "TOML syntax"},
		"huge":      {bytes.Repeat([]byte("#\n"), MaxFile/2+1), "larger than 32 MiB"},
		"wide":      {[]byte("a = [" + strings.Repeat("1,", maxParts) + ".1]\n"), "commas and points"},
		"keys":      {[]byte("a = {" + keys(maxKeys+7) + "}\n" + keys(1)), "f:1:596: more than 100 keys"},
		"deep":      {[]byte("name = " + strings.Repeat("[", 100_000)), "nested more than"},
		"control":   {[]byte("name = \"a\x01\"\n"), "TOML syntax"},
		"leading 0": {[]byte(strings.Replace(string(tohoku), "k     = 2", "k     = 02", 1)), "TOML"},
	} {
		_, err := Parse("f", c.data)
		if len(faultsOf(t, err)) < 1 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}

func keys(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("k%d=1", i)
	}
	return strings.Join(all, ",")
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("a", 63)
	if _, err := Parse("f", []byte(strings.ReplaceAll(smallest, `"a"`, `"`+long+`"`))); err != nil {
		t.Errorf("an id of 63: %v", err)
	}
	if _, err := Parse("f", []byte(strings.ReplaceAll(smallest, `"a"`, `"`+long+`a"`))); err == nil {
		t.Error("an id of 64 is accepted")
	}
	net := manyNodes(MaxNodes, 100)
	if n, err := Parse("f", net); err != nil || len(n.Nodes) != MaxNodes {
		t.Errorf("%d nodes: %.300v", MaxNodes, err)
	}
	checkOneTooMany(t, append(net, "[[node]]\nid=\"x\"\n"...), "[[node]]")
	checkOneTooMany(t, append(manyNodes(1, 0), strings.Repeat("[[link]]\n", MaxLinks+1)...), "[[link]]")
	if os.Getenv("QSC_LONG") != "" {
		checkLargest(t)
	}
}

func checkOneTooMany(t *testing.T, data []byte, what string) {
	t.Helper()
	_, err := Parse("f", data)
	faults := faultsOf(t, err)
	if len(faults) != 1 || !strings.Contains(faults[0].Text, "more than") || !strings.Contains(faults[0].Text, what) {
		t.Errorf("one %s more than the limit: %.300v", what, err)
	}
}

func checkLargest(t *testing.T) {
	t.Helper()
	n, err := Parse("f", manyNodes(MaxNodes, MaxLinks))
	if err != nil || len(n.Links) != MaxLinks {
		t.Fatalf("the largest network: %.300v", err)
	}
	if back, err := Parse("f", n.Marshal()); err != nil || !reflect.DeepEqual(n.Links, back.Links) {
		t.Errorf("the largest network does not come back from Marshal: %.300v", err)
	}
}

// manyNodes writes a ring of nodes, each joined to its next few.
func manyNodes(nodes, links int) []byte {
	var b bytes.Buffer
	b.WriteString("name=\"x\"\nsite=[{id=\"s\"}]\n")
	for i := range nodes {
		fmt.Fprintf(&b, "[[node]]\nid=\"%x\"\nsite=\"s\"\n", i)
	}
	for i := range links {
		from, to := i%nodes, (i+1+i/nodes)%nodes
		fmt.Fprintf(&b, "[[link]]\nkind=\"cv\"\nends=[\"%x\",\"%x\"]\n", from, to)
	}
	return b.Bytes()
}

// A file that is wrong throughout is answered quickly and not without bound.
func TestManyFaultsAreBounded(t *testing.T) {
	_, err := Parse("f", bytes.Repeat([]byte("a=1\n"), 50_000))
	faults := faultsOf(t, err)
	if len(faults) != maxFaults+1 || !strings.Contains(faults[maxFaults].Text, "more faults") {
		t.Errorf("%d faults, last: %v", len(faults), faults[len(faults)-1])
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("small.toml", []byte(smallest), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := load(t, "small.toml"); n.Name != "x" {
		t.Errorf("got %s", n.Name)
	}
	if _, err := Load("kyoto"); !qsc.IsKind(err, qsc.NotFound) || !strings.Contains(err.Error(), "tohoku, tokyo") {
		t.Errorf("kyoto: %v", err)
	}
	if err := os.Mkdir("tokyo", 0o700); err != nil {
		t.Fatal(err)
	}
	if n := load(t, "tokyo"); n.Name != "tokyo" {
		t.Error("a directory hides a built-in network")
	}
	if _, err := Load(dir); !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("directory: %v", err)
	}
	if err := os.WriteFile("tohoku", []byte(smallest), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := load(t, "tohoku"); n.Name != "x" {
		t.Error("a built-in network hides a file")
	}
	checkHugeFile(t, filepath.Join(dir, "huge"))
}

func checkHugeFile(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 1<<40); err != nil { // sparse
		t.Skipf("no sparse files here: %v", err)
	}
	if _, err := Load(name); err == nil || !strings.Contains(err.Error(), "larger than 32 MiB") {
		t.Errorf("huge: %.200v", err)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/faults/*.toml")
	for _, name := range append(files, "tohoku.toml", "tokyo.toml") {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(smallest))
	f.Add([]byte("name=\"a\"\nsite=[{id=\"a\",title=\"\\\"\\\\\",location=[-0.0,1e-9]}]\nnode=[{id=\"a\"}]"))
	f.Add([]byte("a=\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse("f", data)
		if err != nil {
			checkFaults(t, data, faultsOf(t, err))
			return
		}
		back, err := Parse("g", n.Marshal())
		if err != nil {
			t.Fatalf("Marshal writes what Parse refuses: %v\n%s", err, n.Marshal())
		}
		if !reflect.DeepEqual(n, back) {
			t.Fatalf("changed on its way through Marshal:\n%+v\n%+v", n, back)
		}
	})
}

func checkFaults(t *testing.T, data []byte, faults Faults) {
	t.Helper()
	lines := bytes.Count(data, []byte("\n")) + 1
	last := 0
	for i, f := range faults {
		if f.Line > lines || f.Line < last && i < maxFaults || f.Text == "" || strings.ContainsAny(f.Text, "\n\x1b\x00") {
			t.Errorf("fault %d of %d lines: %q", i, lines, f.String())
		}
		last = f.Line
	}
}

func TestOpenErrors(t *testing.T) {
	if err := openError(&os.PathError{Op: "open", Path: "f", Err: os.ErrPermission}); !qsc.IsKind(err, qsc.Denied) {
		t.Errorf("no permission: %v", err)
	}
	if _, err := Load("no\x00name"); err == nil || qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("a name with NUL: %v", err)
	}
}

// The list handed out is a copy, and a physical link needs a preset to run.
func TestKinds(t *testing.T) {
	kinds := Kinds()
	kinds[0].Physical = !kinds[0].Physical
	for _, k := range Kinds() {
		n := &Network{Name: "x", Links: []Link{{ID: "l", Kind: k.Name}}}
		if err := n.Runnable(); (err == nil) == k.Physical {
			t.Errorf("kind %s: %v", k.Name, err)
		}
		n.Links[0].Preset = "x"
		if err := n.Runnable(); err != nil {
			t.Errorf("kind %s with a preset: %v", k.Name, err)
		}
	}
	many := &Network{Links: make([]Link, 12)}
	for i := range many.Links {
		many.Links[i].Kind = KindBB84
	}
	if err := many.Runnable(); err == nil || !strings.HasSuffix(err.Error(), ", ...") {
		t.Errorf("twelve links without a preset: %v", err)
	}
}
