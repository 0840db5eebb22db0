package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

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
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, story)
	var exit *exec.ExitError
	if err := wait(cmd); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Fatalf("the demo ended with %v, want exit code 130: %s", err, complaints)
	}
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

// Ctrl-C in the middle of a put leaves no object and no process of its own; the
// network goes on.
func TestInterruptedPut(t *testing.T) {
	data := t.TempDir()
	net, out, complaints := begin(t, nil, "up", "--json", "--network", "testdata/clinic.toml", "--data", data)
	var ready struct{ Nodes map[string]int }
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		t.Fatalf("%v: %s", err, complaints)
	}
	half, feed := io.Pipe()
	defer feed.Close()
	put, _, said := begin(t, half, "put", "-", "never", "--data", data)
	if _, err := feed.Write(make([]byte, 200_000)); err != nil { // returns when it was read
		t.Fatal(err)
	}
	if err := put.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	var exit *exec.ExitError
	if err := wait(put); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Fatalf("the put ended with %v, want exit code 130: %s", err, said)
	}
	l, err := admin.NewClient(filepath.Join(data, "clinic")).List(context.Background(), "", "", 10)
	if err != nil || len(l.Objects) > 0 {
		t.Errorf("stored: %v, %v", l.Objects, err)
	}
	if err := net.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := wait(net); err != nil {
		t.Errorf("qsc up: %v: %s", err, complaints)
	}
	for id, pid := range ready.Nodes {
		if alive(pid) {
			t.Errorf("node %s, process %d, is left", id, pid)
		}
	}
}
