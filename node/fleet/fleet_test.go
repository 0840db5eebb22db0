package fleet

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/internal/ports"
	"github.com/quantum-secure-cloud/qsc/node"
)

const modeEnv = "FLEET_TEST_CHILD"

// TestMain is a node's process, too: a fleet under test starts this binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		os.Exit(childMain(os.Args[3]))
	}
	os.Exit(m.Run())
}

func childMain(config string) int {
	switch os.Getenv(modeEnv) {
	case "panics":
		panic("broken for the test")
	case "silent": // never ready, ends with its supervisor
		_, _ = os.Stdin.Read(make([]byte, 1))
		return 0
	case "babbles":
		fmt.Fprintln(os.NewFile(readyFD, "ready"), "not JSON")
		return 0
	}
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := Run(ctx, config, true, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

const pairTOML = `name = "pair"
[[site]]
id = "a"
[[site]]
id = "b"
[[node]]
id = "a"
[[node]]
id = "b"
[[link]]
kind = "preshared"
ends = ["a", "b"]
pad = "512 KiB"
block = "64 KiB"
`

func load(t *testing.T, text string) *node.Network {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	net, err := node.LoadNetwork(path)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func pair(t *testing.T) *node.Network {
	t.Helper()
	return load(t, pairTOML)
}

// within bounds a test's waits.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, dir string, opt Options) *Fleet {
	t.Helper()
	f, err := Open(within(t), pair(t), dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func isUp(l admin.Link) bool { return l.Up }

func TestStartAwaitKillStopClose(t *testing.T) {
	ctx := within(t)
	f := open(t, t.TempDir(), Options{})
	if err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if bad := f.Await(ctx, isUp); len(bad) > 0 {
		t.Fatalf("links are down: %v", bad)
	}
	a, b := f.PID("a"), f.PID("b")
	if err := f.StartNode(ctx, "a"); !qsc.IsKind(err, qsc.Busy) {
		t.Errorf("starting a node that runs: %v", err)
	}
	if err := f.Kill("a"); err != nil || f.PID("a") != 0 || syscall.Kill(a, 0) == nil {
		t.Errorf("after Kill: %v, process %d", err, f.PID("a"))
	}
	if err := f.Kill("a"); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("killing what does not run: %v", err)
	}
	if err := f.StartNode(ctx, "a"); err != nil || f.PID("a") == a || f.PID("a") == 0 {
		t.Errorf("starting it again: %v, process %d", err, f.PID("a"))
	}
	if bad := f.Await(ctx, isUp); len(bad) > 0 {
		t.Errorf("links are down after a restart: %v", bad)
	}
	if err := f.Stop("b"); err != nil || syscall.Kill(b, 0) == nil {
		t.Errorf("after Stop: %v", err)
	}
	a = f.PID("a")
	if err := f.Close(); err != nil || syscall.Kill(a, 0) == nil {
		t.Errorf("after Close: %v", err)
	}
	for _, err := range []error{f.Kill("c"), f.Stop("c"), f.StartNode(ctx, "c")} {
		if !qsc.IsKind(err, qsc.NotFound) {
			t.Errorf("a node that is not of the network: %v", err)
		}
	}
}

func TestCrashedNodeIsRestarted(t *testing.T) {
	ctx := within(t)
	f := open(t, t.TempDir(), Options{Restart: true})
	if err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	old := f.PID("a")
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for f.PID("a") == 0 || f.PID("a") == old { // Await looks at the links of nodes that run
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("not started again")
		}
	}
	if bad := f.Await(ctx, isUp); len(bad) > 0 {
		t.Errorf("links are down after the restart: %v", bad)
	}
}

func TestSecondFleetIsBusy(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	_, err := Open(within(t), pair(t), dir, Options{})
	if !qsc.IsKind(err, qsc.Busy) {
		t.Errorf("got %v, want Busy", err)
	}
}

func TestDirectoryKeepsItsNetwork(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(within(t), nil, filepath.Join(dir, "none"), Options{}); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("no network given, none there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory was made for no network")
	}
	f := open(t, dir, Options{})
	was := f.Network().Nodes[0].Listen
	key, err := os.ReadFile(filepath.Join(dir, "a", nodeFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, given := range []*node.Network{pair(t), nil} {
		f, err := Open(within(t), given, dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		now, _ := os.ReadFile(filepath.Join(dir, "a", nodeFile))
		if got := f.Network().Nodes[0].Listen; got != was || !bytes.Equal(now, key) {
			t.Errorf("address %s, was %s; or the node's file has changed", got, was)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	other := load(t, strings.Replace(pairTOML, "512 KiB", "1 MiB", 1))
	if _, err := Open(within(t), other, dir, Options{}); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("another network: %v, want Conflict", err)
	}
}

func TestTakenPortIsPickedAnew(t *testing.T) {
	n := pair(t)
	own := new(ports.Blocks)
	defer own.Release()
	address := func() error {
		p := newPicker(n, own, slog.New(slog.DiscardHandler))
		p.address(n)
		return p.err
	}
	if err := address(); err != nil {
		t.Fatal(err)
	}
	if n.Nodes[0].Listen == n.Nodes[1].Listen || !own.Picked(n.Nodes[0].Listen) {
		t.Fatalf("addresses %s and %s", n.Nodes[0].Listen, n.Nodes[1].Listen)
	}
	l, err := net.Listen("tcp", n.Nodes[0].Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	was := [2]string{n.Nodes[0].Listen, n.Nodes[1].Listen}
	if err := address(); err != nil {
		t.Fatal(err)
	}
	if n.Nodes[0].Listen == was[0] || n.Nodes[1].Listen != was[1] {
		t.Errorf("addresses %s and %s after the first of %v was taken", n.Nodes[0].Listen, n.Nodes[1].Listen, was)
	}
	// What is picked is this fleet's alone, also while nobody listens there.
	was[0] = n.Nodes[0].Listen
	var other ports.Blocks
	defer other.Release()
	own.Release()
	for _, addr := range was {
		if !other.Keep(addr) {
			t.Fatalf("another cannot have %s", addr)
		}
	}
	if err := address(); err != nil {
		t.Fatal(err)
	}
	if n.Nodes[0].Listen == was[0] || n.Nodes[1].Listen == was[1] {
		t.Errorf("addresses %s and %s after another fleet had %v", n.Nodes[0].Listen, n.Nodes[1].Listen, was)
	}
}

func TestChildrenThatDoNotStart(t *testing.T) {
	for mode, want := range map[string]string{
		"panics": "panic: broken for the test", "babbles": "first words are not understood", "silent": "given up",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Setenv(modeEnv, mode)
			f := open(t, t.TempDir(), Options{})
			ctx, cancel := context.WithTimeout(within(t), time.Second)
			defer cancel()
			if mode != "silent" {
				ctx = within(t)
			}
			err := f.Start(ctx)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			if f.PID("a") != 0 || f.PID("b") != 0 {
				t.Error("a process is left")
			}
		})
	}
}

// What a node says when it cannot open reaches the supervisor with its Kind.
func TestNodesErrorKeepsItsKind(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, Options{})
	if err := os.WriteFile(filepath.Join(dir, "a", nodeFile), []byte("colour = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.StartNode(within(t), "a"); !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v, want Invalid with the line", err)
	}
}

func TestMissingExecutable(t *testing.T) {
	f := open(t, t.TempDir(), Options{Exe: "/nonexistent/qsc"})
	if err := f.StartNode(within(t), "a"); err == nil || f.PID("a") != 0 {
		t.Errorf("got %v", err)
	}
}

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.log")
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	line := bytes.Repeat([]byte("x"), 64<<10-1)
	line = append(line, '\n')
	for range 3 * maxLog / len(line) {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, p := range []string{path, path + ".1"} {
		if info, err := os.Stat(p); err != nil || info.Size() > maxLog {
			t.Errorf("%s: %v, %v", p, info, err)
		}
	}
	_, _ = l.Write([]byte("half a "))
	_, _ = l.Write([]byte("line\nand more"))
	if got := l.lastLine(); got != "half a line" {
		t.Errorf("last line %q", got)
	}
	_, _ = l.Write([]byte("\npanic: why\n\ngoroutine 1\n\tfile.go:1\n"))
	if got := l.lastLine(); got != "panic: why" {
		t.Errorf("last line %q", got)
	}
	l.Close()
	if n, err := l.Write([]byte("late")); n != 4 || err != nil {
		t.Error("a closed log is in the way")
	}
}

// Where many nodes share a core each keeps to one thread of Go code, unless the
// user says otherwise.
func TestCrowd(t *testing.T) {
	t.Setenv("GOMAXPROCS", "3") // so that it is put back
	many := &Fleet{net: &node.Network{}}
	for range crowd*runtime.NumCPU() + 1 {
		many.net.Nodes = append(many.net.Nodes, topology.Node{})
	}
	few := &Fleet{net: &node.Network{Nodes: many.net.Nodes[1:]}}
	if many.env() != nil {
		t.Error("the user's own GOMAXPROCS is to stay")
	}
	if err := os.Unsetenv("GOMAXPROCS"); err != nil {
		t.Fatal(err)
	}
	if few.env() != nil || !slices.Contains(many.env(), "GOMAXPROCS=1") {
		t.Error("few nodes take this process's environment, many one thread each")
	}
}
