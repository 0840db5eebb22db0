package wide

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// answer is what curl printed.
type answer struct {
	Keys []struct {
		ID  string `json:"key_ID"`
		Key []byte `json:"key"`
	} `json:"keys"`
	Extension json.RawMessage `json:"key_container_extension"`
}

// curl asks as everybody can; needCurl has found it. Its output holds key and is
// shown to nobody.
func curl(t *testing.T, s *fleettest.SAE, path string) (a answer, code string) {
	t.Helper()
	out, err := exec.Command("curl", "-sS", "--cacert", s.CAFile, "--cert", s.CertFile, "--key", s.KeyFile,
		"-w", "\n%{http_code}", s.URL()+"/api/v1/keys/"+path).Output()
	if err != nil {
		t.Fatal("curl: ", err)
	}
	text, code, _ := strings.Cut(string(out), "\n")
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal("curl: the answer is not JSON")
	}
	return a, code
}

func needCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed: no client of this kind can be tried")
	}
}

// twin draws a key at one end and its twin at the other, with curl, and returns
// what was said of it.
func twin(t *testing.T, a, b *fleettest.SAE) fleettest.Told {
	t.Helper()
	enc, code := curl(t, a, string(b.ID)+"/enc_keys?number=1&size=256")
	if code != "200" || len(enc.Keys) != 1 || len(enc.Keys[0].Key) != 32 {
		t.Fatalf("enc_keys answers %s with %d keys", code, len(enc.Keys))
	}
	path := string(a.ID) + "/dec_keys?key_ID=" + enc.Keys[0].ID
	dec, code := curl(t, b, path)
	if code != "200" || len(dec.Keys) != 1 || string(dec.Keys[0].Key) != string(enc.Keys[0].Key) {
		t.Fatalf("dec_keys answers %s; same key: %t", code, len(dec.Keys) == 1)
	}
	if _, code := curl(t, b, path); code != "400" {
		t.Errorf("the same key a second time: %s", code)
	}
	return fleettest.Tell(t, enc.Extension)
}
