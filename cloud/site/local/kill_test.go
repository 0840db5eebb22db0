package local

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
)

const childEnv = "QSC_TEST_SITE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, child(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const slots = 40

func slotSizes(i int) []int { return []int{500 + 37*(i%97), 70000, 64 + i%50} }

// child puts, replaces and deletes for ever, with compaction at work, and says
// what was acknowledged: "begin i" before and "put i" or "del i" after.
func child(dir string) error {
	s, err := Open(Config{ID: "alpha", Dir: dir, SegmentSize: 1 << 20, MinFree: -1})
	if err != nil {
		return err
	}
	st, err := s.Status(bg)
	if err != nil {
		return err
	}
	for i := int(st.Shares) + 1; ; i++ {
		ref := cloudtest.NewRef("home", i%slots, 1)
		fmt.Println("begin", i)
		if i%3 == 2 {
			if err := s.Delete(bg, ref); err != nil {
				return err
			}
			fmt.Println("del", i)
			continue
		}
		if err := cloudtest.TryPut(bg, s, ref, i, slotSizes(i)...); err != nil {
			return err
		}
		fmt.Println("put", i)
	}
}

// Whatever moment kill -9 strikes at: what was acknowledged is there, and the
// one operation under way has happened or not.
func TestKill(t *testing.T) {
	rounds := 5
	if os.Getenv("QSC_LONG") != "" {
		rounds = 200
	}
	dir, m := t.TempDir(), model{}
	for round := range rounds {
		killAfter(t, dir, m, 30+(round*71)%300)
		s := open(t, Config{Dir: dir, SegmentSize: 1 << 20, Manual: true})
		if err := m.check(s); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func killAfter(t *testing.T, dir string, m model, lines int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for in := bufio.NewScanner(out); in.Scan(); n++ {
		var what string
		var i int
		if _, err := fmt.Sscan(in.Text(), &what, &i); err != nil {
			t.Fatal(err)
		}
		ref, v := cloudtest.NewRef("home", i%slots, 1), version{i, slotSizes(i)}
		if i%3 == 2 {
			v = version{}
		}
		if what == "begin" {
			m.maybe(ref, v)
		} else {
			m.only(ref, v)
		}
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || n < lines {
		t.Fatalf("the child ended by itself after %d lines: %v", n, err)
	}
}
