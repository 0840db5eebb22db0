// Package tunneltest is for tests: a pair of network namespaces with a cable
// between them, programs run inside, a ping whose losses are counted, and a
// source of keys that both ends of a tunnel know.
//
// It checks nothing itself.
package tunneltest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Pair is two hosts, a and b, joined by a cable. Addresses of host i (0, 1):
// 10.99.0.(i+1) on the cable.
type Pair struct {
	t  testing.TB
	NS [2]string
}

// Need skips the test unless this is Linux as root with the programs installed,
// and says what is missing.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces and TUN devices are made")
	}
	for _, p := range append([]string{"ip", "ping"}, programs...) {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs the program %s (Debian: iproute2 iputils-ping wireguard-go charon-systemd libcharon-extra-plugins libstrongswan-standard-plugins)", p)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("needs TUN devices: %v", err)
	}
}

// NewPair makes the two namespaces and removes them when the test ends.
func NewPair(t testing.TB) *Pair {
	t.Helper()
	p := &Pair{t: t}
	tag := strconv.FormatInt(time.Now().UnixNano()%1e9, 36) + strconv.Itoa(os.Getpid()%1000)
	for i, s := range []string{"a", "b"} {
		p.NS[i] = "qsc" + s + tag
	}
	t.Cleanup(func() {
		for _, ns := range p.NS {
			_ = exec.Command("ip", "netns", "del", ns).Run()
		}
	})
	for _, ns := range p.NS {
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			t.Skipf("this machine makes no network namespaces: %v: %s", err, out)
		}
	}
	p.IP("link", "add", "cable", "netns", p.NS[0], "type", "veth", "peer", "name", "cable", "netns", p.NS[1])
	for i := range p.NS {
		p.In(i, "ip", "addr", "add", fmt.Sprintf("10.99.0.%d/24", i+1), "dev", "cable")
		p.In(i, "ip", "link", "set", "cable", "up")
		p.In(i, "ip", "link", "set", "lo", "up")
	}
	return p
}

// IP runs ip outside the namespaces.
func (p *Pair) IP(args ...string) {
	p.t.Helper()
	p.run(exec.Command("ip", args...))
}

// In runs a program on host i to its end.
func (p *Pair) In(i int, args ...string) string {
	p.t.Helper()
	return p.run(p.command(context.Background(), i, args...))
}

func (p *Pair) command(ctx context.Context, i int, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", p.NS[i]}, args...)...)
}

func (p *Pair) run(cmd *exec.Cmd) string {
	p.t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v: %s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// Start runs a daemon on host i, in the foreground of its own process group,
// and ends it with the test. Its output is shown when the test fails.
func (p *Pair) Start(i int, env []string, args ...string) {
	p.t.Helper()
	cmd := p.command(context.Background(), i, args...)
	cmd.Env = append(os.Environ(), env...)
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	p.t.Cleanup(func() {
		end(cmd)
		if p.t.Failed() {
			p.t.Logf("%s said:\n%s", args[0], out.String())
		}
	})
}

// end asks a process group to end and, after two seconds, makes it.
func end(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	kill := time.AfterFunc(2*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer kill.Stop()
	_ = cmd.Wait()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// mostOutput is how much of a program is kept: an hour of pings at 50 a second.
const mostOutput = 16 << 20

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() > mostOutput {
		return len(p), nil
	}
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const lookEvery = 20 * time.Millisecond

// Await waits until ok, at most limit; it fails the test otherwise.
func Await(t testing.TB, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for end := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// Pinging is a ping that runs.
type Pinging struct {
	cmd *exec.Cmd
	out *lockedBuffer
	t   testing.TB
}

// Ping starts pinging addr from host i every interval.
func (p *Pair) Ping(i int, addr string, interval time.Duration) *Pinging {
	p.t.Helper()
	g := &Pinging{p.command(context.Background(), i, "ping", "-n", "-D", "-i", fmt.Sprint(interval.Seconds()), "-w", "3600", addr), &lockedBuffer{}, p.t}
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := g.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if g.cmd.ProcessState == nil {
			end(g.cmd)
		}
	})
	return g
}

// Received counts the answers so far.
func (g *Pinging) Received() int { return strings.Count(g.out.String(), "bytes from") }

var (
	status = regexp.MustCompile(`\d+/(\d+) packets`) // answered and sent
	reply  = regexp.MustCompile(`bytes from .*icmp_seq=(\d+) `)
)

// How long Stop waits: for ping to say how many requests went out, and for an answer
// that may still be under way on a machine that stands still now and then.
const (
	statusWait = 30 * time.Second
	answerWait = 5 * time.Second
)

// Stop returns how many requests have gone out until now and how many of these were
// answered, and ends the ping. What went out last may still be under way: it has time
// to come back, while the pinging goes on.
func (g *Pinging) Stop() (sent, received int) {
	g.t.Helper()
	sent = g.sent()
	missing := g.missing(sent)
	for end := time.Now().Add(answerWait); len(missing) > 0 && time.Now().Before(end); missing = g.missing(sent) {
		time.Sleep(lookEvery)
	}
	_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGINT)
	_ = g.cmd.Wait()
	for _, n := range missing {
		_, around, _ := strings.Cut(g.out.String(), fmt.Sprintf("icmp_seq=%d ", n-1))
		g.t.Logf("no answer to ping %d; what follows %d:\n%.300s", n, n-1, around)
	}
	return sent, sent - len(missing)
}

// sent asks ping how many requests have gone out.
func (g *Pinging) sent() (n int) {
	g.t.Helper()
	_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGQUIT)
	Await(g.t, "ping says how many requests went out", statusWait, func() bool {
		m := status.FindStringSubmatch(g.out.String())
		if m != nil {
			n, _ = strconv.Atoi(m[1])
		}
		return m != nil
	})
	return n
}

// missing lists which of the first sent requests have no answer yet.
func (g *Pinging) missing(sent int) (all []int) {
	seen := map[string]bool{}
	for _, r := range reply.FindAllStringSubmatch(g.out.String(), -1) {
		seen[r[1]] = true
	}
	for n := 1; n <= sent; n++ {
		if !seen[strconv.Itoa(n)] {
			all = append(all, n)
		}
	}
	return all
}

// Reaches reports whether a ping from host i to addr is answered within limit.
func (p *Pair) Reaches(i int, addr string, limit time.Duration) bool {
	cmd := p.command(context.Background(), i, "ping", "-n", "-c", "1", "-i", "0.2", "-w", strconv.Itoa(int(limit.Seconds())), addr)
	return cmd.Run() == nil
}
