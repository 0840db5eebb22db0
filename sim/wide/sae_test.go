package wide

import (
	"crypto/tls"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// sae is an application with what it needs to draw key.
type sae struct {
	id       qsc.AppID
	url      string
	cert, ca string // files
	key      string
	client   *etsi014.Client
}

// admit enrols two applications as "qsc sae add" does and returns them when both
// of their nodes know them.
func (n *network) admit(master, slave qsc.AppID, from, to qsc.NodeID, p keymgmt.Protection) (a, b *sae) {
	n.t.Helper()
	file := filepath.Join(n.fleet.Dir(), fleet.SAEFile)
	pair := enrol.Pair{Master: master, Slave: slave, BothWays: true, Policy: keymgmt.Policy{Protection: p}}
	for _, add := range []func([]byte) ([]byte, error){
		enrol.AddSAE(enrol.SAE{ID: master, Node: from}),
		enrol.AddSAE(enrol.SAE{ID: slave, Node: to}, pair),
	} {
		if _, err := enrol.Edit(file, add); err != nil {
			n.t.Fatal(err)
		}
	}
	return n.certify(master, from), n.certify(slave, to)
}

// certify gives an application its certificate and a client.
func (n *network) certify(id qsc.AppID, at qsc.NodeID) *sae {
	n.t.Helper()
	c, err := node.ReadConfig(fleet.ConfigFile(n.fleet.NodeDir(at)))
	if err != nil {
		n.t.Fatal(err)
	}
	issued, err := n.ca.SAE(id, enrol.Options{Out: n.t.TempDir()})
	if err != nil {
		n.t.Fatal(err)
	}
	s := &sae{id: id, url: "https://" + c.KME.ETSI014, cert: issued.CertFile, key: issued.KeyFile, ca: n.ca.CertFile()}
	var conf *tls.Config
	if conf, err = enrol.LoadTLS(s.cert, s.key, s.ca); err != nil {
		n.t.Fatal(err)
	}
	if s.client, err = etsi014.NewClient(etsi014.ClientConfig{URL: s.url, TLS: conf}); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(s.client.Close)
	return s
}

// told is what a KME says of keys in key_container_extension.
type told struct {
	Class    string `json:"qsc_class"`
	Hops     int    `json:"qsc_hops"`
	Paths    int    `json:"qsc_paths"`
	Need     int    `json:"qsc_need"`
	Disjoint bool   `json:"qsc_disjoint"`
}

func tell(t *testing.T, extension []byte) (s told) {
	t.Helper()
	if err := json.Unmarshal(extension, &s); err != nil {
		t.Fatal("key_container_extension:", err)
	}
	return s
}

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
func (s *sae) curl(t *testing.T, path string) (a answer, code string) {
	t.Helper()
	out, err := exec.Command("curl", "-sS", "--cacert", s.ca, "--cert", s.cert, "--key", s.key,
		"-w", "\n%{http_code}", s.url+"/api/v1/keys/"+path).Output()
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
func twin(t *testing.T, a, b *sae) told {
	t.Helper()
	enc, code := a.curl(t, string(b.id)+"/enc_keys?number=1&size=256")
	if code != "200" || len(enc.Keys) != 1 || len(enc.Keys[0].Key) != 32 {
		t.Fatalf("enc_keys answers %s with %d keys", code, len(enc.Keys))
	}
	path := string(a.id) + "/dec_keys?key_ID=" + enc.Keys[0].ID
	dec, code := b.curl(t, path)
	if code != "200" || len(dec.Keys) != 1 || string(dec.Keys[0].Key) != string(enc.Keys[0].Key) {
		t.Fatalf("dec_keys answers %s; same key: %t", code, len(dec.Keys) == 1)
	}
	if _, code := b.curl(t, path); code != "400" {
		t.Errorf("the same key a second time: %s", code)
	}
	return tell(t, enc.Extension)
}
