package enrol

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

func TestEdit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "saes.toml")
	pair := Pair{Master: "a", Slave: "b c", BothWays: true, Policy: keymgmt.Policy{
		Protection: keymgmt.Protection{Paths: 3, Need: 2}, MinRate: 10e3, MaxRate: 1234.5, Priority: 2, TTL: time.Hour, Retry: 3 * time.Second,
	}}
	pair.Policy.MinRate, pair.Policy.MaxRate = 1234.5, 10e3
	if _, err := Edit(file, AddSAE(SAE{ID: "b c", Node: "n"})); err != nil {
		t.Fatal(err)
	}
	s, err := Edit(file, AddSAE(SAE{ID: "a", Node: "m", Fingerprint: strings.Repeat("0a", 32)}, pair))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Allowed("b c", "a"); !ok || got != pair.Policy {
		t.Errorf("%+v, %t", got, ok)
	}
	if again, err := OpenDirectory(file); err != nil || len(again.Snapshot().SAEs()) != 2 {
		t.Errorf("read again: %v", err)
	}
	before, _ := os.ReadFile(file)
	for name, change := range map[string]func([]byte) ([]byte, error){
		"a known SAE":       AddSAE(SAE{ID: "a", Node: "n"}),
		"a quote":           AddSAE(SAE{ID: "x\"\n[[sae]]", Node: "n"}),
		"an unknown slave":  AddPair(Pair{Master: "a", Slave: "z"}),
		"nobody":            RemoveSAE("z"),
		"no pair":           RemovePair("b c", "a"),
		"a second time":     AddPair(pair),
		"no directory text": func([]byte) ([]byte, error) { return []byte("]"), nil },
	} {
		if _, err := Edit(file, change); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("a refused edit changed the file")
	}
	if _, err := Edit(file, RemovePair("a", "b c")); err != nil {
		t.Error(err)
	}
	if s, err := Edit(file, RemoveSAE("a")); err != nil || len(s.SAEs()) != 1 {
		t.Error(err)
	}
}

// What a person wrote around a removed SAE stays to the byte.
func TestRemoveKeeps(t *testing.T) {
	const want = `# who is in
[[sae]]
id   = "hospital-a"
node = "sendai"

[[sae]]
id = "lab/1"
node = "tokyo"
`
	got, err := RemoveSAE("archive")([]byte(sample))
	if err != nil || string(got) != want {
		t.Errorf("%v:\n%s", err, got)
	}
	if _, err := Parse("", got); err != nil {
		t.Error(err)
	}
}

func TestEditFaultyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "saes.toml")
	write(t, file, "[[sae]]\n")
	if _, err := Edit(file, AddSAE(SAE{ID: "a", Node: "n"})); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(file); string(text) != "[[sae]]\n" {
		t.Error("a faulty file was changed")
	}
}

// Edits at the same time all take effect.
func TestEditsTogether(t *testing.T) {
	file := filepath.Join(t.TempDir(), "saes.toml")
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			if _, err := Edit(file, AddSAE(SAE{ID: qsc.AppID(fmt.Sprint("sae-", i)), Node: "n"})); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if d, err := OpenDirectory(file); err != nil || len(d.Snapshot().SAEs()) != 12 {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{sample, "", "[[sae]]\nid=\"a\"\nnode=\"n\"\n", "[[pair]]\nmaster='*'\nslave=\"*\"\nmin=\"1 kbit/s\"", "sae = [{id='a'}]", "[[sae]]\nid=\"\"\"\na\"\"\"\n[x.y]\n", "a.b=[1,{c=2}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("f", text)
		if err != nil {
			if !qsc.IsKind(err, qsc.Invalid) {
				t.Errorf("kind %v", qsc.KindOf(err))
			}
			return
		}
		added, err := AddSAE(SAE{ID: "fuzz-new", Node: "n"})(text)
		if err != nil {
			return // it is there
		}
		more, err := Parse("f", added)
		if err != nil || len(more.SAEs()) != len(s.SAEs())+1 {
			t.Fatalf("adding to a good file: %v", err)
		}
		less, err := RemoveSAE("fuzz-new")(added)
		if err != nil {
			t.Fatalf("removing what was added: %v", err)
		}
		back, err := Parse("f", less)
		if err != nil || len(back.SAEs()) != len(s.SAEs()) || len(back.Pairs()) != len(s.Pairs()) {
			t.Errorf("adding and removing is not where it began: %v", err)
		}
	})
}
