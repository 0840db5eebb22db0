package crash

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/node"
)

// small mounts a small file system on a directory; where that is not allowed the
// test is skipped.
func small(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("skipped: mounting a small file system needs root; the rooms test a full disk step by step (internal/durable)")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// A put that finds a site's disk full says so, or is done without that site where
// the policy allows; what was there before stays.
func TestFullDiskAtPut(t *testing.T) {
	n := open(t, preshared)
	data := content(1, 200_000)
	if _, err := n.store("before", "", data); err != nil {
		t.Fatal(err)
	}
	n.Stop("c")
	site := filepath.Join(n.Fleet.NodeDir("c"), "site")
	full := filepath.Join(n.Dir, "full")
	small(t, full, "1m")
	if err := os.Rename(site, site+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(full, site); err != nil {
		t.Fatal(err)
	}
	n.MustStart("c")
	n.Linked()
	_, err := n.store("all", "", data)
	wantKind(t, err, qsc.NoSpace)
	rep, err := n.store("two", "two", data)
	if err != nil || rep.Object.State != "degraded" {
		t.Fatalf("%+v, %v", rep.Object, err)
	}
	n.wantBack("two", data)
	n.wantBack("before", data)
	n.Stop("c")
	if err := errors.Join(os.Remove(site), os.Rename(site+".kept", site)); err != nil {
		t.Fatal(err)
	}
	n.MustStart("c")
	n.Linked()
	n.Until("the repair", func() bool {
		o, err := n.home.Stat(t.Context(), "two")
		return err == nil && o.State == "stored"
	})
}

// A provisioning that does not fit adds nothing at either end, and the link goes on.
func TestFullDiskAtProvision(t *testing.T) {
	n := prepare(t, preshared)
	l := n.Net.Links[0]
	stock := filepath.Join(n.Fleet.NodeDir(l.Ends[1]), "links", string(l.ID), "stock")
	if out, err := os.ReadDir(stock); err != nil || len(out) == 0 {
		t.Fatal("no first stock:", err)
	}
	kept := stock + ".kept"
	if err := os.Rename(stock, kept); err != nil {
		t.Fatal(err)
	}
	small(t, stock, "24m")
	files, err := os.ReadDir(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(kept, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(stock, f.Name()), b)
	}
	if err := n.Fleet.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.Linked()
	_, err = node.Provision(t.Context(), n.Fleet.Network(), n.Fleet.Dir(), l.ID, node.ProvisionOptions{Size: 32 << 20})
	wantKind(t, err, qsc.NoSpace)
	data := content(1, 200_000)
	if _, err := n.store("o", "", data); err != nil {
		t.Fatal(err)
	}
	n.wantBack("o", data)
	if _, err := node.Provision(t.Context(), n.Fleet.Network(), n.Fleet.Dir(), l.ID, node.ProvisionOptions{Size: 1 << 20}); err != nil {
		t.Error("a smaller one:", err)
	}
	n.accounts()
}
