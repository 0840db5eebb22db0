package node

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// star is a network of one home and three sites.
const star = `
name = "star"
[[site]]
id = "home"
[[site]]
id = "a"
[[site]]
id = "b"
[[site]]
id = "c"
[[node]]
id = "home"
[[node]]
id = "a"
[[node]]
id = "b"
[[node]]
id = "c"
[[link]]
ends = ["home", "a"]
kind = "preshared"
pad = "2 MiB"
block = "64 KiB"
[[link]]
ends = ["b", "home"]
kind = "preshared"
pad = "2 MiB"
block = "64 KiB"
[[link]]
ends = ["home", "c"]
kind = "preshared"
pad = "2 MiB"
block = "64 KiB"
[[policy]]
id = "default"
k = 2
n = 3
home = "home"
sites = ["a", "b", "c"]
chunk = "64 KiB"
[[policy]]
id = "two"
k = 2
n = 3
w = 2
home = "home"
sites = ["a", "b", "c"]
chunk = "64 KiB"
`

type cluster struct {
	t    testing.TB
	net  *Network
	data string
	run  map[qsc.NodeID]*Node
	home *admin.Client
}

func newCluster(t testing.TB, source string) *cluster {
	return newClusterFrom(t, source, func(nw *Network, data string) error { return Found(t.Context(), nw, data, nil) })
}

func newClusterFrom(t testing.TB, source string, found func(*Network, string) error) *cluster {
	nw, err := topology.Parse("star.toml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	for i := range nw.Nodes {
		nw.Nodes[i].Listen = testkit.Address(t)
	}
	c := &cluster{t: t, net: nw, data: t.TempDir(), run: map[qsc.NodeID]*Node{}}
	if err := os.WriteFile(filepath.Join(c.data, "network.toml"), nw.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := found(nw, c.data); err != nil {
		t.Fatal(err)
	}
	for _, n := range nw.Nodes {
		c.start(n.ID)
	}
	c.home = admin.NewClient(dirOf(nw, c.data, "home"))
	c.linked("a", "b", "c")
	t.Cleanup(func() {
		for id := range c.run {
			c.stop(id)
		}
	})
	return c
}

func (c *cluster) start(id qsc.NodeID) {
	c.t.Helper()
	cfg := Config{Node: id, Network: filepath.Join(c.data, "network.toml"), Dir: dirOf(c.net, c.data, id)}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("QSC_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	n, err := Open(c.t.Context(), cfg, log)
	if err != nil {
		c.t.Fatal(err)
	}
	c.run[id] = n
}

// linked waits until the home reaches the nodes named.
func (c *cluster) linked(ids ...qsc.NodeID) {
	c.t.Helper()
	c.await("links", func() bool {
		up := map[qsc.NodeID]bool{}
		for _, l := range c.run["home"].Status(c.t.Context()).Links {
			up[l.Peer] = l.Up
		}
		for _, id := range ids {
			if !up[id] {
				return false
			}
		}
		return true
	})
}

func (c *cluster) stop(id qsc.NodeID) {
	c.t.Helper()
	if err := c.run[id].Close(); err != nil {
		c.t.Error(err)
	}
	delete(c.run, id)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func (c *cluster) put(name string, data []byte, policy string) admin.Report {
	c.t.Helper()
	rep, err := c.home.Put(c.t.Context(), name, bytes.NewReader(data), admin.PutOptions{Size: int64(len(data)), Policy: policy})
	if err != nil {
		c.t.Fatal("put:", err)
	}
	return rep
}

func (c *cluster) wantBack(name string, data []byte) admin.Report {
	c.t.Helper()
	var out bytes.Buffer
	rep, err := c.home.Get(c.t.Context(), name, &out, 0, -1)
	if err != nil {
		c.t.Fatal("get:", err)
	}
	if !bytes.Equal(out.Bytes(), data) {
		c.t.Fatal("the object came back changed")
	}
	return rep
}

// await polls a condition that a background task brings about.
func (c *cluster) await(what string, ok func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			c.t.Fatal("never came:", what)
		case <-tick.C:
		}
	}
}

func (c *cluster) checkAccounts() {
	c.t.Helper()
	for id, n := range c.run {
		for _, l := range n.Status(c.t.Context()).Links {
			if !l.Balanced {
				c.t.Errorf("%s: the account of link %s does not balance: %+v %+v", id, l.ID, l.Send, l.Recv)
			}
		}
	}
}

func TestFileOverThreeSites(t *testing.T) {
	c := newCluster(t, star)
	data := randomBytes(300_000)
	rep := c.put("genome.cram", data, "")
	if rep.Object.Class != qsc.OSRandom || rep.Object.State != "stored" || len(rep.Sites) != 3 {
		t.Errorf("%+v", rep)
	}
	c.put("empty", nil, "")
	c.wantBack("genome.cram", data)
	c.wantBack("empty", nil)
	c.checkAccounts()
	c.stop("b")
	rep = c.wantBack("genome.cram", data)
	if len(rep.Sites) != 2 {
		t.Errorf("%+v", rep)
	}
	c.stop("a")
	_, err := c.home.Get(t.Context(), "genome.cram", io.Discard, 0, -1)
	if !qsc.IsKind(err, qsc.Insufficient) {
		t.Error("with one site left:", err)
	}
	c.start("a")
	c.start("b")
	c.linked("a", "b", "c")
	c.wantBack("genome.cram", data)
	if err := c.home.Delete(t.Context(), "genome.cram"); err != nil {
		t.Fatal(err)
	}
	c.checkAccounts()
}

func TestDegradedPutIsRepaired(t *testing.T) {
	c := newCluster(t, star)
	c.stop("c")
	data := randomBytes(200_000)
	rep := c.put("o", data, "two")
	if rep.Object.State != "degraded" || rep.Object.Survives != 0 {
		t.Errorf("%+v", rep.Object)
	}
	if _, err := c.home.Put(t.Context(), "p", bytes.NewReader(data), admin.PutOptions{Size: int64(len(data))}); !qsc.IsKind(err, qsc.Insufficient) {
		t.Error("a put below its quorum:", err)
	}
	c.start("c")
	c.await("repair", func() bool {
		o, err := c.home.Stat(t.Context(), "o")
		return err == nil && o.State == "stored" && o.Survives == 1
	})
	c.stop("a")
	c.wantBack("o", data)
}

func TestRestartKeepsEverything(t *testing.T) {
	c := newCluster(t, star)
	data := randomBytes(100_000)
	c.put("o", data, "")
	for range 3 {
		for _, n := range c.net.Nodes {
			c.stop(n.ID)
		}
		for _, n := range c.net.Nodes {
			c.start(n.ID)
		}
		c.linked("a", "b", "c")
		c.wantBack("o", data)
	}
	c.checkAccounts()
}

func TestLostCatalogueIsRebuilt(t *testing.T) {
	c := newCluster(t, star)
	data := randomBytes(150_000)
	c.put("o", data, "")
	c.stop("home")
	for _, f := range []string{"catalog.db", "catalog.db-wal", "catalog.db-shm"} {
		_ = os.Remove(filepath.Join(dirOf(c.net, c.data, "home"), f))
	}
	c.start("home")
	c.linked("a", "b", "c")
	if n, err := c.home.Rebuild(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	c.wantBack("o", data)
}

func TestOneProcessPerDirectory(t *testing.T) {
	c := newCluster(t, star)
	_, err := Open(t.Context(), Config{Node: "home", Network: filepath.Join(c.data, "network.toml"), Dir: dirOf(c.net, c.data, "home")}, slog.New(slog.DiscardHandler))
	if !qsc.IsKind(err, qsc.Busy) {
		t.Error("got", err)
	}
}

func TestNoKeyLeft(t *testing.T) {
	c := newCluster(t, star)
	big := randomBytes(3 << 20)
	_, err := c.home.Put(t.Context(), "big", bytes.NewReader(big), admin.PutOptions{Size: int64(len(big))})
	if !qsc.IsKind(err, qsc.Exhausted) {
		t.Fatal("got", err)
	}
	for _, l := range c.net.Links {
		if _, err := Provision(t.Context(), c.net, c.data, l.ID, ProvisionOptions{Size: 4 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	c.await("the courier's key", func() bool {
		for _, l := range c.run["home"].Status(t.Context()).Links {
			if l.Stock < 4<<20 {
				return false
			}
		}
		return true
	})
	c.put("big", big, "")
	c.wantBack("big", big)
	c.checkAccounts()
}

func TestDoors(t *testing.T) {
	c := newCluster(t, star)
	st, err := c.home.Status(t.Context())
	if err != nil || st.Node != "home" || len(st.Links) != 3 {
		t.Fatalf("%+v %v", st, err)
	}
	for _, path := range []string{"/metrics", "/healthz"} {
		resp, err := http.Get("http://" + st.Metrics + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || path == "/metrics" && !bytes.Contains(b, []byte("qsc_pad_bytes{")) {
			t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
		}
	}
}

// With couriered and pooled physical random nothing computational is on the
// path, and the object says its.
func TestPhysicalRandomGivesITS(t *testing.T) {
	source := strings.Replace(star, `id = "two"`, "id = \"physical\"\nrandomness = \"pool\"", 1)
	dice := filepath.Join(t.TempDir(), "dice")
	if err := os.WriteFile(dice, randomBytes(16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClusterFrom(t, source, func(nw *Network, data string) error {
		for _, l := range nw.Links {
			if _, err := Provision(t.Context(), nw, data, l.ID, ProvisionOptions{From: dice}); err != nil {
				return err
			}
		}
		return nil
	})
	data := randomBytes(100_000)
	_, err := c.home.Put(t.Context(), "o", bytes.NewReader(data), admin.PutOptions{Size: int64(len(data)), Policy: "physical"})
	if !qsc.IsKind(err, qsc.Exhausted) {
		t.Fatal("an empty pool gives", err)
	}
	if n, err := BringRandom(t.Context(), c.net, c.data, "home", BringOptions{From: dice}); n != 16<<20 || err != nil {
		t.Fatal(n, err)
	}
	if rep := c.put("o", data, "physical"); rep.Object.Class != qsc.ITS {
		t.Error("class", rep.Object.Class)
	}
	c.wantBack("o", data)
	if rep := c.put("p", data, ""); rep.Object.Class != qsc.OSRandom {
		t.Error("class", rep.Object.Class)
	}
}
