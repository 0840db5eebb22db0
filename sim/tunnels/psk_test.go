package tunnels

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/quantum-secure-cloud/qsc/app/tunnel/tunneltest"
)

// event is a line of `qsc psk --json`.
type event struct {
	Event   string  `json:"event"`
	Tunnel  string  `json:"tunnel"`
	Address string  `json:"address"`
	Every   float64 `json:"every_seconds"`
	ID      string  `json:"key_id"`
	Seconds float64 `json:"seconds"`
	Step    string  `json:"step"`
	Kind    string  `json:"kind"`
	Text    string  `json:"text"`
}

// end is one `qsc psk` that runs.
type end struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	read sync.WaitGroup // until its output has ended

	mu     sync.Mutex
	events []event
	said   bytes.Buffer // on standard error
}

// psk starts `qsc psk` as one of the applications.
func (n *network) psk(i int, args ...string) *end {
	n.T.Helper()
	me, peer := n.saes[i], n.saes[1-i]
	args = append(append([]string{"psk"}, args...), "--json", "--sae", me.ID, "--peer-sae", peer.ID,
		"--kme", me.KME, "--cert", me.CertFile, "--key", me.KeyFile, "--ca", me.CA)
	e := &end{t: n.T, name: me.ID, cmd: exec.Command(n.qsc, args...)}
	e.cmd.Stderr = e
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		n.T.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		n.T.Fatal(err)
	}
	e.read.Go(func() { e.listen(bufio.NewScanner(out)) })
	n.T.Cleanup(func() { e.kill(); e.show() })
	return e
}

func (e *end) listen(lines *bufio.Scanner) {
	for lines.Scan() {
		var v event
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			e.t.Errorf("%s writes %q, which is no event: %v", e.name, lines.Bytes(), err)
		}
		e.mu.Lock()
		e.events = append(e.events, v)
		e.mu.Unlock()
		if os.Getenv("QSC_LOG") != "" {
			_, _ = os.Stderr.WriteString(e.name + " " + lines.Text() + "\n")
		}
	}
}

// Write takes standard error.
func (e *end) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.said.Len() < 1<<16 {
		e.said.Write(p)
	}
	return len(p), nil
}

// kill ends the process with SIGKILL, if it runs.
func (e *end) kill() {
	if e.cmd.ProcessState == nil {
		_ = e.cmd.Process.Kill()
		e.read.Wait()
		_ = e.cmd.Wait()
	}
}

// interrupt is Ctrl-C; it returns the exit code.
func (e *end) interrupt() int {
	_ = e.cmd.Process.Signal(syscall.SIGINT)
	e.read.Wait()
	_ = e.cmd.Wait()
	return e.cmd.ProcessState.ExitCode()
}

func (e *end) show() {
	if e.t.Failed() {
		e.t.Logf("%s: %+v\nstandard error: %s", e.name, e.all(), &e.said)
	}
}

func (e *end) all() []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.events)
}

// told lists the keys that are said to be in use, in their order.
func (e *end) told() (ids []string) {
	for _, v := range e.all() {
		if v.Event == "rotated" {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// took lists what the rotations took, in seconds, the quickest first.
func (e *end) took() (all []float64) {
	for _, v := range e.all() {
		if v.Event == "rotated" {
			all = append(all, v.Seconds)
		}
	}
	slices.Sort(all)
	return all
}

// rotates waits for a number of rotations from now on.
func (e *end) rotates(more int) {
	e.t.Helper()
	want := len(e.told()) + more
	tunneltest.Await(e.t, e.name+" tells of new keys", patience, func() bool { return len(e.told()) >= want })
}

// fails waits for a failure from now on and returns it.
func (e *end) fails(kind string) (found event) {
	e.t.Helper()
	from := len(e.all())
	tunneltest.Await(e.t, e.name+" tells of a failure: "+kind, patience, func() bool {
		for _, v := range e.all()[from:] {
			if v.Event == "failed" && strings.Contains(v.Kind, kind) {
				found = v
				return true
			}
		}
		return false
	})
	return found
}
