package catalog

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
)

const childEnv = "QSC_TEST_CATALOG_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		child(path)
	}
	os.Exit(m.Run())
}

// child stores objects for ever and prints each step once it is acknowledged.
func child(path string) {
	c, err := OpenSQLite(path)
	for i := 0; err == nil; i++ {
		ref := cloudtest.NewRef("home", i, 1)
		if err = c.Insert(bg, cloudtest.NewRecord(ref, fmt.Sprint("name", i%50))); err != nil {
			break
		}
		fmt.Println("inserted", i)
		if err = c.PutMasks(bg, ref, 0, make([]byte, 48*300)); err != nil {
			break
		}
		if err = c.Update(bg, ref, func(r *cloud.Record) error { r.State = cloud.Doomed; return nil }); err != nil {
			break
		}
		fmt.Println("updated", i)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Every acknowledged change outlives kill -9 at any moment.
func TestKill(t *testing.T) {
	rounds := 3
	if os.Getenv("QSC_LONG") != "" {
		rounds = 60
	}
	for round := range rounds {
		path := filepath.Join(t.TempDir(), "catalog.db")
		inserted, updated := killAfter(t, path, 20+37*(round%9))
		check(t, path, inserted, updated)
	}
}

// killAfter runs a child until it has acknowledged so many steps, and returns
// the number of inserts and updates among what it said until its end.
func killAfter(t *testing.T, path string, steps int) (inserted, updated int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		var what string
		var i int
		if _, err := fmt.Sscan(lines.Text(), &what, &i); err != nil {
			t.Fatal(err)
		}
		if what == "inserted" {
			inserted = i + 1
		} else {
			updated = i + 1
		}
		if n == steps {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || inserted*2 < steps {
		t.Fatalf("the child ended by itself (%v) after %d inserts", err, inserted)
	}
	return inserted, updated
}

func check(t *testing.T, path string, inserted, updated int) {
	t.Helper()
	c := openAt(t, path)
	found := map[cloud.Ref]cloud.State{}
	q := cloud.Query{States: []cloud.State{cloud.Pending, cloud.Doomed}}
	for {
		list, err := c.List(bg, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, r := range list {
			found[r.Ref] = r.State
			q.After, q.Behind = r.Name, r.Ref
		}
	}
	for i := range inserted {
		ref := cloudtest.NewRef("home", i, 1)
		s, ok := found[ref]
		if !ok || i < updated && s != cloud.Doomed {
			t.Fatalf("object %d of %d inserted, %d updated: there %v, state %d", i, inserted, updated, ok, s)
		}
		if i >= updated {
			continue
		}
		if _, err := c.Masks(bg, ref, 0, 300); err != nil {
			t.Fatal(err)
		}
	}
}
