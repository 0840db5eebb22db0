package fleet

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

const (
	stopTime   = 20 * time.Second // a node that was asked to end is killed after
	firstDelay = 100 * time.Millisecond
	lastDelay  = 30 * time.Second
	calm       = time.Minute // a node that ran for so long starts with firstDelay again
)

var terminate os.Signal = syscall.SIGTERM

// proc is one node's place in a fleet; a child fills it or does not.
type proc struct {
	fleet *Fleet
	node  qsc.NodeID
	dir   string

	starting sync.Mutex // held while a child is being started
	mu       sync.Mutex
	cur      *child // nil: does not run
}

// child is one process.
type child struct {
	cmd   *exec.Cmd
	life  *os.File // the child ends when this closes
	log   *boundedLog
	since time.Time
	asked bool          // told to end; guarded by proc.mu
	done  chan struct{} // closed when the process is gone
	err   error         // of Wait, set before done
}

func (p *proc) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cur == nil {
		return 0
	}
	return p.cur.cmd.Process.Pid
}

// start starts the node, waits until it is ready and has it watched.
func (p *proc) start(ctx context.Context) error {
	c, err := p.spawn(ctx)
	if err != nil {
		return err
	}
	p.fleet.wg.Go(func() { p.watch(c) })
	return nil
}

// spawn starts a process and returns when it says that it is ready.
func (p *proc) spawn(ctx context.Context) (*child, error) {
	p.starting.Lock()
	defer p.starting.Unlock()
	if p.pid() != 0 {
		return nil, qsc.E("fleet.Start", qsc.Busy, string(p.node), "the node is running already")
	}
	c, ready, err := p.launch()
	if err != nil {
		return nil, qsc.E("fleet.Start", qsc.Other, string(p.node), "cannot start the node's process: %w", err)
	}
	p.mu.Lock()
	p.cur = c
	p.mu.Unlock()
	p.fleet.wg.Go(func() { p.reap(c) })
	if err := p.await(ctx, c, ready); err != nil {
		_ = p.end(os.Kill) // gone already is as good
		return nil, err
	}
	return c, nil
}

// launch starts the process with three pipes: its life, its readiness, its log.
func (p *proc) launch() (c *child, ready *os.File, err error) {
	var open []io.Closer
	defer func() {
		if err != nil {
			for _, f := range open {
				_ = f.Close()
			}
		}
	}()
	log, err := openLog(filepath.Join(p.dir, "node.log"))
	if err != nil {
		return nil, nil, err
	}
	open = append(open, log)
	stdin, life, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	open = append(open, stdin, life)
	ready, tell, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	open = append(open, ready, tell)
	cmd := &exec.Cmd{
		Path: p.fleet.opt.Exe, Args: []string{"qsc", "node", "--config", filepath.Join(p.dir, nodeFile), "--supervised"},
		Stdin: stdin, Stdout: log, Stderr: log, ExtraFiles: []*os.File{tell},
		SysProcAttr: childAttr(), WaitDelay: time.Second, Env: p.fleet.env(),
	}
	if err = cmd.Start(); err != nil {
		return nil, nil, err
	}
	_, _ = stdin.Close(), tell.Close() // the child has its own
	return &child{cmd: cmd, life: life, log: log, since: time.Now(), done: make(chan struct{})}, ready, nil
}

// reap collects the process when it ends, however it ends.
func (p *proc) reap(c *child) {
	c.err = c.cmd.Wait()
	c.life.Close()
	_ = c.log.Close()
	p.mu.Lock()
	p.cur = nil
	p.mu.Unlock()
	close(c.done)
}

// end sends a signal and returns when the process is gone, which is enforced
// after stopTime.
func (p *proc) end(sig os.Signal) error {
	p.mu.Lock()
	c := p.cur
	if c == nil {
		p.mu.Unlock()
		return qsc.E("fleet.Stop", qsc.NotFound, string(p.node), "the node does not run")
	}
	c.asked = true
	p.mu.Unlock()
	_ = c.cmd.Process.Signal(sig) // a process that is gone is what we want
	late := time.NewTimer(stopTime)
	defer late.Stop()
	select {
	case <-c.done:
	case <-late.C:
		p.fleet.opt.Log.Warn("node does not end: killing it", "node", string(p.node), "pid", c.cmd.Process.Pid)
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	return nil
}

func (p *proc) wasAsked(c *child) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return c.asked
}

// lastWords are those of a process that ended itself; one that was killed had
// none.
func (c *child) lastWords() string {
	if !c.cmd.ProcessState.Exited() {
		return ""
	}
	return c.log.lastLine()
}

// watch starts the node anew, more and more slowly, each time it ends unasked.
func (p *proc) watch(c *child) {
	log := p.fleet.opt.Log.With("node", string(p.node))
	for delay := firstDelay; ; delay = min(2*delay, lastDelay) {
		<-c.done
		if p.wasAsked(c) || p.fleet.ctx.Err() != nil {
			return
		}
		if time.Since(c.since) > calm {
			delay = firstDelay
		}
		log.Error("node ended unasked", "err", c.err, "restart", p.fleet.opt.Restart, "last", c.lastWords())
		if !p.fleet.opt.Restart {
			return
		}
		if c = p.again(&delay, log.Error); c == nil {
			return
		}
		log.Info("node is back", "pid", c.cmd.Process.Pid)
	}
}

// again tries to start the node until it is ready; nil when the fleet closes.
func (p *proc) again(delay *time.Duration, complain func(string, ...any)) *child {
	for {
		t := time.NewTimer(*delay)
		select {
		case <-p.fleet.ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		c, err := p.spawn(p.fleet.ctx)
		if err == nil {
			return c
		}
		if qsc.IsKind(err, qsc.Busy) && p.pid() != 0 || p.fleet.ctx.Err() != nil {
			return nil // somebody else has started it
		}
		*delay = min(2**delay, lastDelay)
		complain("node does not start", "err", err, "next_try", *delay)
	}
}
