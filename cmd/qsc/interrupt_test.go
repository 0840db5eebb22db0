package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

var number = regexp.MustCompile(`\d+`)

// pidsOf reads a demo's story until it names its processes.
func pidsOf(t *testing.T, story *bufio.Reader) (pids []int) {
	t.Helper()
	for {
		line, err := story.ReadString('\n')
		if err != nil {
			t.Fatalf("the demo ended before it was up: %v", err)
		}
		_, list, found := strings.Cut(line, "processes: ")
		if !found {
			continue
		}
		for part := range strings.SplitSeq(list, ", ") {
			pid, err := strconv.Atoi(number.FindString(part[strings.LastIndexByte(part, ' '):]))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		return pids
	}
}

func smallFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small")
	if err := os.WriteFile(path, make([]byte, 300_000), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Ctrl-C leaves no process and no data of a demo.
func TestInterruptedDemo(t *testing.T) {
	parent := t.TempDir()
	cmd, story, complaints := begin(t, nil, "demo", "--network", "testdata/clinic.toml", "--data", parent, smallFile(t))
	pids := pidsOf(t, story)
	interrupt(t, cmd, complaints)
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Nodes end even when their supervisor has no time to tell them.
func TestKilledDemoLeavesNoProcess(t *testing.T) {
	cmd, story, _ := begin(t, nil, "demo", "--network", "testdata/clinic.toml", "--data", t.TempDir(), smallFile(t))
	pids := pidsOf(t, story)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = wait(cmd) // it was killed
	for _, pid := range pids {
		if err := untilGone(pid); err != nil {
			t.Error(err)
		}
	}
}

// running is a network that a test has started.
type running struct {
	cmd        *exec.Cmd
	data       string
	pids       map[string]int
	complaints *bytes.Buffer
}

func start(t *testing.T) *running {
	t.Helper()
	n := &running{data: t.TempDir()}
	var out *bufio.Reader
	n.cmd, out, n.complaints = begin(t, nil, "up", "--json", "--network", "testdata/clinic.toml", "--data", n.data)
	var ready struct{ Nodes map[string]int }
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		t.Fatalf("%v: %s", err, n.complaints)
	}
	n.pids = ready.Nodes
	return n
}

// end stops the network by SIGTERM and sees that nothing is left of it.
func (n *running) end(t *testing.T) {
	t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := wait(n.cmd); err != nil {
		t.Errorf("qsc up: %v: %s", err, n.complaints)
	}
	for id, pid := range n.pids {
		if alive(pid) {
			t.Errorf("node %s, process %d, is left", id, pid)
		}
	}
}

// interrupt sends SIGINT to a command and sees it end as it should.
func interrupt(t *testing.T, cmd *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := wait(cmd); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Fatalf("ended with %v, want exit code 130: %s", err, said)
	}
	if text := said.String(); !strings.HasPrefix(text, "qsc: interrupted") || strings.Count(text, "\n") != 1 {
		t.Errorf("said %q", text)
	}
}

// Ctrl-C in the middle of a put leaves no object and no process of its own; the
// network goes on.
func TestInterruptedPut(t *testing.T) {
	n := start(t)
	half, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	defer feed.Close() // not before the end: the put is to wait for more
	put, _, said := begin(t, half, "put", "-", "never", "--data", n.data)
	if _, err := feed.Write(make([]byte, 1_000_000)); err != nil { // returns when most of it was read
		t.Fatal(err)
	}
	interrupt(t, put, said)
	l, err := admin.NewClient(filepath.Join(n.data, "clinic")).List(context.Background(), "", "", 10)
	if err != nil || len(l.Objects) > 0 {
		t.Errorf("stored: %v, %v", l.Objects, err)
	}
	n.end(t)
}

// Ctrl-C in the middle of a get leaves no file.
func TestInterruptedGet(t *testing.T) {
	n := start(t)
	put, _, said := begin(t, nil, "put", smallFile(t), "scan", "--data", n.data)
	if err := wait(put); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	sites := []string{"north", "south", "west"}
	for _, id := range sites { // so that the get stands still
		if err := syscall.Kill(n.pids[id], syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	get, _, said := begin(t, nil, "get", "scan", "-o", filepath.Join(dir, "scan"), "--data", n.data)
	untilSome(t, dir)
	interrupt(t, get, said)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, id := range sites {
		if err := syscall.Kill(n.pids[id], syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	n.end(t)
}

// untilSome waits until a directory holds something.
func untilSome(t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		if some, err := os.ReadDir(dir); err != nil || time.Now().After(end) {
			t.Fatalf("nothing appears in %s: %v", dir, err)
		} else if len(some) > 0 {
			return
		}
	}
}
