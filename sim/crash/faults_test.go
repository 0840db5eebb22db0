package crash

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/sim/tap"
)

func (n *network) store(name, policy string, data []byte) (admin.Report, error) {
	ctx, cancel := context.WithTimeout(n.T.Context(), patience)
	defer cancel()
	return n.home.Put(ctx, name, bytes.NewReader(data), admin.PutOptions{Policy: policy, Size: int64(len(data))})
}

// wantBack reads an object and returns who did not do his part.
func (n *network) wantBack(name string, data []byte) map[qsc.SiteID]string {
	n.T.Helper()
	ctx, cancel := context.WithTimeout(n.T.Context(), patience)
	defer cancel()
	var got bytes.Buffer
	rep, err := n.home.Get(ctx, name, &got, 0, -1)
	if err != nil || !bytes.Equal(got.Bytes(), data) {
		n.T.Fatalf("%d of %d bytes came back: %v", got.Len(), len(data), err)
	}
	faults := map[qsc.SiteID]string{}
	for _, f := range rep.Faults {
		faults[f.Site] = f.Kind
	}
	return faults
}

func wantKind(t testing.TB, err error, k qsc.Kind) {
	t.Helper()
	if !qsc.IsKind(err, k) {
		t.Errorf("got %v, want kind %q", err, k)
	}
}

// A site that stands still, its connections open, holds nobody up for long: a get
// moves on, a put ends, one way or the other.
func TestSiteStandsStill(t *testing.T) {
	t.Parallel()
	data := content(1, 300_000)
	t.Run("get", func(t *testing.T) {
		for _, id := range []qsc.NodeID{"a", "b"} {
			t.Run(string(id), func(t *testing.T) {
				t.Parallel()
				n := open(t, preshared)
				if _, err := n.store("before", "", data); err != nil {
					t.Fatal(err)
				}
				n.still(id, func() { n.leftBehind(qsc.SiteID(id), data) })
				n.oracles()
			})
		}
		t.Run("put", func(t *testing.T) {
			t.Parallel()
			n := open(t, preshared)
			n.still("c", func() {
				rep, err := n.store("meanwhile", "two", data)
				if err != nil || rep.Object.State != "degraded" || len(rep.Faults) != 1 || rep.Faults[0].Site != "c" {
					t.Errorf("a put while one of three sites stands still: %+v, %v", rep.Faults, err)
				}
			})
			n.oracles()
		})
	})
}

// leftBehind gets an object until a site that stands still is named. Two of three are
// read, those whose links have the most key left: if not its link now, then soon.
func (n *network) leftBehind(id qsc.SiteID, data []byte) {
	n.T.Helper()
	for range 4 {
		if n.wantBack("before", data)[id] != "" {
			return
		}
	}
	n.T.Errorf("no get has named %s, which stands still", id)
}

// still runs do while a node is stopped.
func (n *network) still(id qsc.NodeID, do func()) {
	n.T.Helper()
	thaw := n.Freeze(id)
	defer func() {
		thaw()
		n.Linked()
	}()
	do()
}

// One process has a directory; the next is told which.
func TestTwoProcessesOneDirectory(t *testing.T) {
	n := open(t, preshared)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(exe, "node", "--config", filepath.Join(n.Fleet.NodeDir("a"), "node.toml"), "--supervised").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by process") {
		t.Errorf("a second process on a directory: %v, %q", err, out)
	}
	data := content(1, 1000)
	if _, err := n.store("o", "", data); err != nil {
		t.Error("the first process is disturbed:", err)
	}
	n.wantBack("o", data)
}

// Bytes that rot on a site's disk under a running node are found, named, routed
// around and mended.
func TestRottenShareIsMended(t *testing.T) {
	n := open(t, preshared)
	data := content(1, 1<<20)
	if _, err := n.store("o", "", data); err != nil {
		t.Fatal(err)
	}
	// Two of three are read: with b gone, a must be one of them.
	n.rot("a")
	n.Kill("b")
	err := func() error { _, err := n.home.Get(t.Context(), "o", io.Discard, 0, -1); return err }()
	wantKind(t, err, qsc.Tampered)
	if err == nil || !strings.Contains(err.Error(), "a") {
		t.Error("the error does not name the site:", err)
	}
	n.MustStart("b")
	n.Linked()
	n.wantBack("o", data)
	n.Until("the repair", func() bool {
		o, err := n.home.Stat(t.Context(), "o")
		return err == nil && o.State == "stored"
	})
	n.Kill("b")
	if faults := n.wantBack("o", data); faults["a"] != "" {
		t.Errorf("after the repair: %v", faults)
	}
}

// rot changes a byte in the middle of every segment of a site.
func (n *network) rot(id qsc.NodeID) {
	n.T.Helper()
	files, err := filepath.Glob(filepath.Join(n.Fleet.NodeDir(id), "site", "seg-*"))
	if err != nil || len(files) == 0 {
		n.T.Fatal("no segments:", err)
	}
	for _, path := range files {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			n.T.Fatal(err)
		}
		b := make([]byte, 1)
		const at = 500_000 // of a share of a million
		if _, err := f.ReadAt(b, at); err != nil {
			n.T.Fatal(err)
		}
		b[0] ^= 0x55
		if _, err := f.WriteAt(b, at); err != nil {
			n.T.Fatal(err)
		}
		if err := f.Close(); err != nil {
			n.T.Fatal(err)
		}
	}
}

// Descriptions that are cut short or damaged are refused with the place.
func TestDamagedDescriptions(t *testing.T) {
	n := open(t, preshared)
	n.Stop("a")
	dir := n.Fleet.NodeDir("a")
	for _, file := range []string{"detour.toml", "node.toml"} {
		path := filepath.Join(dir, file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for name, bad := range map[string][]byte{
			"cut": good[:bytes.LastIndexByte(good, '=')+2], "flipped": bytes.Replace(good, []byte("="), []byte{0}, 1),
			"unknown key": append([]byte("colour = 3\n"), good...), "empty": nil,
		} {
			write(t, path, bad)
			err := n.StartNode("a")
			wantKind(t, err, qsc.Invalid)
			if err != nil && name != "empty" && !strings.Contains(err.Error(), "line") && !strings.Contains(err.Error(), ".toml:") {
				t.Errorf("%s, %s: no place in: %v", file, name, err)
			}
		}
		write(t, path, good)
	}
	n.MustStart("a")
	n.Linked()
}

// What a frame has used is zero in the rings at both ends once they are closed.
func TestUsedPadsAreErased(t *testing.T) {
	n := open(t, preshared)
	n.life("o", content(1, 500_000))
	for _, d := range n.Net.Nodes {
		n.Stop(d.ID)
	}
	looked := 0
	for _, l := range n.Net.Links {
		for lane := range 4 {
			for _, u := range n.Pads.Uses(l.ID, otp.Lane(lane)) {
				for _, end := range l.Ends {
					looked++
					path := filepath.Join(n.Fleet.NodeDir(end), "links", string(l.ID), "ledger", "lane"+string(rune('0'+lane))+".pad")
					if !zeroAt(t, path, u) {
						t.Fatalf("%s: pad [%d, %d) was used and is still there", path, u.Pos, u.End)
					}
				}
			}
		}
	}
	if looked < 50 {
		t.Fatalf("only %d used pads were looked at", looked)
	}
}

func zeroAt(t testing.TB, path string, u tap.Use) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, u.End-u.Pos)
	if _, err := f.ReadAt(b, int64(u.Pos)); err != nil { // so little was used that no ring has wrapped
		t.Fatal(err)
	}
	return bytes.Count(b, []byte{0}) == len(b)
}

// A node whose directory is an old copy must not use the pads that it used
// since: its links refuse.
func TestRestoredBackupIsRefused(t *testing.T) {
	for _, id := range []qsc.NodeID{"a", "c", home} { // a listens, c dials, home does both
		t.Run(string(id), func(t *testing.T) {
			t.Parallel()
			n := open(t, preshared)
			data := content(1, 200_000)
			if _, err := n.store("early", "", data); err != nil {
				t.Fatal(err)
			}
			n.Stop(id)
			old := filepath.Join(n.Dir, "backup")
			copyDir(t, n.Fleet.NodeDir(id), old)
			n.MustStart(id)
			n.Linked()
			n.life("late", data)
			n.wantBack("early", data)
			n.Stop(id)
			if err := os.RemoveAll(n.Fleet.NodeDir(id)); err != nil {
				t.Fatal(err)
			}
			copyDir(t, old, n.Fleet.NodeDir(id))
			n.MustStart(id)
			n.Until("the refusal", func() bool {
				s, err := n.Client(id).Status(t.Context())
				for _, l := range s.Links {
					if l.Up || !strings.Contains(l.Why, "restored copy") { // and not: no connection yet
						return false
					}
				}
				return err == nil
			})
			t.Log(n.Status(id).Alarms)
			n.oracles()
		})
	}
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
}
