package node

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// pairOf is a network of two nodes and one link of the kind given.
func pairOf(kind string) string {
	return `
name = "pair"
[[site]]
id = "s"
[[node]]
id = "a"
site = "s"
[[node]]
id = "b"
site = "s"
[[link]]
ends = ["a", "b"]
` + kind + `
pad = "1 MiB"
block = "16 KiB"
`
}

// openPairOf runs both nodes; change may give their configurations more.
func openPairOf(t *testing.T, dir, source string, change func(*Config)) (both [2]*Node) {
	t.Helper()
	nw, err := topology.Parse("pair.toml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	for i := range nw.Nodes {
		nw.Nodes[i].Listen = testkit.Address(t)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "network.toml")
	if err := os.WriteFile(file, nw.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Found(t.Context(), nw, dir, nil); err != nil {
		t.Fatal(err)
	}
	for i, n := range nw.Nodes {
		c := Config{Node: n.ID, Network: file, Dir: dirOf(nw, dir, n.ID)}
		change(&c)
		if both[i], err = Open(t.Context(), c, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := both[i].Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return both
}

// Two nodes take the key of their link from a vendor's KMEs, for which another
// network of ours stands, by ETSI GS QKD 014 and by 004; then applications draw
// from them.
func TestDeviceLinks(t *testing.T) {
	dir := t.TempDir()
	ca, err := enrol.InitCA(filepath.Join(dir, "ca"), "vendor", false)
	if err != nil {
		t.Fatal(err)
	}
	cert := map[string]enrol.Issued{}
	saes := filepath.Join(dir, "saes.toml")
	for _, id := range []string{"a", "b"} {
		if cert[id], err = ca.Node(qsc.NodeID(id), enrol.Options{Out: dir}); err != nil {
			t.Fatal(err)
		}
		sae := "sae-" + id
		if cert[sae], err = ca.SAE(qsc.AppID(sae), enrol.Options{Out: dir}); err != nil {
			t.Fatal(err)
		}
		if _, err := enrol.Edit(saes, enrol.AddSAE(enrol.SAE{ID: qsc.AppID(sae), Node: qsc.NodeID(id)})); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := enrol.Edit(saes, enrol.AddPair(enrol.Pair{Master: "sae-a", Slave: "sae-b", BothWays: true})); err != nil {
		t.Fatal(err)
	}
	kme := map[qsc.NodeID]KME{}
	openPairOf(t, filepath.Join(dir, "vendor"), pairOf("kind = \"simulated\"\nrate = \"40 Mbit/s\""), func(c *Config) {
		c.TLS = TLS{cert[string(c.Node)].CertFile, cert[string(c.Node)].KeyFile, ca.CertFile()}
		c.KME = KME{ETSI014: testkit.Address(t), ETSI004: testkit.Address(t), SAEs: saes}
		kme[c.Node] = c.KME
	})
	for _, protocol := range []string{"etsi014", "etsi004"} {
		t.Run(protocol, func(t *testing.T) {
			blocks := testkit.Address(t)
			ours := openPairOf(t, filepath.Join(dir, protocol), pairOf(`kind = "device"`), func(c *Config) {
				me, other := "sae-"+string(c.Node), "sae-b"
				if c.Node == "b" {
					other = "sae-a"
				}
				d := Device{Protocol: protocol, KME: "https://" + kme[c.Node].ETSI014, SAE: me, Peer: other, Cert: cert[me].CertFile, Key: cert[me].KeyFile, CA: ca.CertFile(), Blocks: blocks}
				if protocol == "etsi004" {
					d.KME, d.Stream, d.Since = kme[c.Node].ETSI004, "6a1f2c1e-0f0e-4c7e-9d55-0d7ab0a0b001", time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
				}
				c.TLS = TLS{cert[string(c.Node)].CertFile, cert[string(c.Node)].KeyFile, ca.CertFile()}
				c.KME.SAEs = saes
				c.Device = map[string]Device{"a-b": d}
			})
			drawAcross(t, ours)
			l := ours[0].Status(t.Context()).Links[0]
			if l.Class&qsc.Computational == 0 || l.Class&qsc.Simulated == 0 {
				t.Errorf("key that came over TLS from a simulated vendor has class %v", l.Class)
			}
		})
	}
}

// drawAcross has the application at one node take a key and the other its twin.
func drawAcross(t *testing.T, n [2]*Node) {
	t.Helper()
	var keys *keymgmt.Keys
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		keys, err = n[0].Supply().Issue(t.Context(), keymgmt.KeyRequest{Master: "sae-a", Slaves: []qsc.AppID{"sae-b"}, Number: 3, Want: keymgmt.AnyClass})
		if err == nil || !qsc.IsKind(err, qsc.Exhausted) {
			break // Issue itself waits for key
		}
	}
	if err != nil {
		t.Fatal(err, n[0].Status(t.Context()).Alarms)
	}
	twin, err := n[1].Supply().Fetch(t.Context(), keymgmt.FetchRequest{Slave: "sae-b", Master: "sae-a", IDs: keys.IDs})
	if err != nil {
		t.Fatal(err)
	}
	if !twin.Bytes.Equal(keys.Bytes) {
		t.Error("the two ends differ")
	}
}

func TestDeviceConfigFaults(t *testing.T) {
	c := Config{Node: "a", Network: "n", Device: map[string]Device{
		"x-y": {Protocol: "etsi014", Blocks: "nowhere"}, "y-z": {Protocol: "etsi004", KME: "k", SAE: "s", Peer: "p", Cert: "c", Key: "k", CA: "a"}, "z-w": {Protocol: "smoke"},
		"u-v": {Protocol: "record"}, "v-w": {Protocol: "timetag", Events: "e", Channel: "h:1", Window: "wide"},
	}}
	err := fmt.Sprint(c.check())
	for _, want := range []string{`device.x-y: the key "kme"`, "device.x-y: blocks", "device.y-z: etsi004 needs stream", `device.z-w: protocol "smoke"`,
		`device.u-v: the key "file"`, "device.u-v: blocks", "device.v-w: timetag needs sifted"} {
		if !strings.Contains(err, want) {
			t.Errorf("%v does not tell of %s", err, want)
		}
	}
}
