package etsi014

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// The client that everybody has.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	n := open(t, keymgmttest.SupplyConfig{})
	run := func(s *Server, app, path string, more ...string) string {
		t.Helper()
		ca, cert, private := n.ca.Files(t, n.ca.Leaf(t, app))
		args := append([]string{"-sS", "--cacert", ca, "--cert", cert, "--key", private, "-w", "\n%{http_code}"}, more...)
		out, err := exec.Command(curl, append(args, "https://"+s.Addr().String()+apiPath+path)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	type keys struct {
		Keys []struct {
			ID string `json:"key_ID"`
			B  []byte `json:"key"`
		} `json:"keys"`
	}
	for _, version := range []string{"1.2", "1.3"} {
		var enc, dec keys
		text, code, _ := strings.Cut(run(n.a, "alice", "bob/enc_keys?number=1&size=256", "--tls-max", version), "\n")
		if err := json.Unmarshal([]byte(text), &enc); err != nil || code != "200" || len(enc.Keys) != 1 {
			t.Fatal(version, code, err)
		}
		post := `{"key_IDs":[{"key_ID":"` + enc.Keys[0].ID + `"}]}`
		text, code, _ = strings.Cut(run(n.b, "bob", "alice/dec_keys", "--tls-max", version, "-d", post, "-H", "Content-Type: application/json"), "\n")
		if err := json.Unmarshal([]byte(text), &dec); err != nil || code != "200" || len(dec.Keys) != 1 || string(dec.Keys[0].B) != string(enc.Keys[0].B) || len(dec.Keys[0].B) != 32 {
			t.Fatal(version, code, err)
		}
		if again := run(n.b, "bob", "alice/dec_keys", "--tls-max", version, "-d", post); !strings.HasSuffix(again, "\n400") {
			t.Error("a second time:", again)
		}
	}
}
