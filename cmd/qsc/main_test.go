package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"qsc": func() { os.Exit(cli.Main(os.Args[1:])) }})
}

// patience bounds every wait for a process in these tests.
const patience = 2 * time.Minute

type upKey struct{}

// network is a `qsc up` that a script has started.
type network struct {
	cmd  *exec.Cmd
	pids map[string]int
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_DATA_HOME", filepath.Join(e.WorkDir, "xdg"))
			e.Setenv("QSC_DATA", "")
			e.Setenv("QSC_NETWORK", "")
			e.Values[upKey{}] = &network{}
			toml, err := os.ReadFile("testdata/clinic.toml")
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "clinic.toml"), toml, 0o600)
		},
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %s", cond)
			}
			return os.Geteuid() == 0, nil // who may read everything
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "up": up, "down": down, "kill9": kill9, "json": jsonAt, "random": random, "gone": gone, "named": named, "attack": attack,
		},
	})
}

// code N PROGRAM ARGS... runs a program that must end with exit code N.
func code(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// command is a qsc with the environment of a script.
func command(ts *testscript.TestScript, args ...string) *exec.Cmd {
	cmd := exec.Command("qsc", args...)
	cmd.Dir = ts.MkAbs(".")
	for _, k := range []string{"PATH", "HOME", "TMPDIR", "XDG_DATA_HOME", "QSC_DATA"} {
		cmd.Env = append(cmd.Env, k+"="+ts.Getenv(k))
	}
	return cmd
}

// up ARGS... starts a network, waits until it is up and sets PID_NODE for every
// node.
func up(ts *testscript.TestScript, _ bool, args []string) {
	n := ts.Value(upKey{}).(*network)
	cmd := command(ts, append([]string{"up", "--json"}, args...)...)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	ts.Check(cmd.Start())
	ts.Defer(func() { _ = cmd.Process.Kill() })
	var ready struct {
		Nodes map[string]int `json:"nodes"`
		Down  []string       `json:"links_down"`
	}
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		_ = cmd.Wait()
		ts.Fatalf("qsc up does not come up: %v: %s", err, complaints.String())
	}
	if len(ready.Down) > 0 {
		ts.Fatalf("links are down: %v", ready.Down)
	}
	n.cmd, n.pids = cmd, ready.Nodes
	ts.Setenv("PID_up", strconv.Itoa(cmd.Process.Pid))
	for id, pid := range n.pids {
		ts.Setenv("PID_"+id, strconv.Itoa(pid))
	}
}

// down ends the network as Ctrl-C does and sees that no process is left.
func down(ts *testscript.TestScript, _ bool, _ []string) {
	n := ts.Value(upKey{}).(*network)
	ts.Check(n.cmd.Process.Signal(syscall.SIGINT))
	if err := wait(n.cmd); err != nil {
		ts.Fatalf("qsc up: %v", err)
	}
	for id, pid := range n.pids {
		if alive(pid) {
			ts.Fatalf("node %s, process %d, is left", id, pid)
		}
	}
}

// kill9 PID kills a process.
func kill9(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
}

// gone PID... waits until processes have ended.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	for _, a := range args {
		pid, err := strconv.Atoi(a)
		ts.Check(err)
		ts.Check(untilGone(pid))
	}
}

// random FILE BYTES makes a file.
func random(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := make([]byte, n)
	_, _ = rand.Read(b)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// named CODE FILE NAME puts a file under a name that no script line could hold:
// a Go string, or a number for a name of so many bytes.
func named(ts *testscript.TestScript, _ bool, args []string) {
	name, err := strconv.Unquote(args[2])
	if err != nil {
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		name = strings.Repeat("n", n)
	}
	code(ts, false, []string{args[0], "qsc", "put", args[1], name})
}

// attack LINK ARGS... attacks a link until its alarm is raised, for longer and longer:
// how soon it is depends on the machine.
func attack(ts *testscript.TestScript, _ bool, args []string) {
	for during := 1500 * time.Millisecond; ; during *= 2 {
		ts.Check(ts.Exec("qsc", append([]string{"link", "attack", "--json", "--for", during.String(), "--recover", "2m"}, args...)...))
		var said struct {
			Alarm float64 `json:"alarm_after_s"`
		}
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &said))
		if said.Alarm >= 0 {
			return
		}
		if during > 30*time.Second {
			ts.Fatalf("no alarm is raised")
		}
	}
}

// json FILE PATH [WANT] sees that the value at a dotted path is there, and is
// WANT.
func jsonAt(ts *testscript.TestScript, neg bool, args []string) {
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &v); err != nil {
		ts.Fatalf("%s is no JSON: %v", args[0], err)
	}
	for field := range strings.SplitSeq(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			got, ok := at[field]
			if !ok {
				ts.Fatalf("no %s in %s", field, args[1])
			}
			v = got
		case []any:
			i, err := strconv.Atoi(field)
			if field == "len" {
				v = float64(len(at))
				continue
			}
			if err != nil || i >= len(at) {
				ts.Fatalf("no %s in %s", field, args[1])
			}
			v = at[i]
		default:
			ts.Fatalf("no %s in %s", field, args[1])
		}
	}
	if len(args) == 3 && (fmt.Sprint(v) == args[2]) == neg {
		ts.Fatalf("%s is %v, not as wanted: %s", args[1], v, args[2])
	}
}

// wait is cmd.Wait with an end.
func wait(cmd *exec.Cmd) error {
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	return cmd.Wait()
}

// alive reports whether a process runs. One that has ended but that nobody has
// waited for yet does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !exists("/proc/self")
	}
	_, rest, _ := bytes.Cut(b, []byte(") "))
	return !bytes.HasPrefix(rest, []byte("Z"))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// untilGone waits for the end of a process that is nobody's child here.
func untilGone(pid int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); alive(pid); <-tick.C {
		if time.Now().After(end) {
			return fmt.Errorf("process %d is left", pid)
		}
	}
	return nil
}

// begin starts a qsc in a fresh environment.
func begin(t *testing.T, stdin io.Reader, args ...string) (*exec.Cmd, *bufio.Reader, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command("qsc", args...)
	dir := t.TempDir()
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "TMPDIR="+dir, "QSC_DATA=", "QSC_NETWORK=")
	cmd.Stdin = stdin
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewReader(out), &complaints
}
