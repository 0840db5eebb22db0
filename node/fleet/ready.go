package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
)

// readyFD is the child's end of the pipe on which it says how its start went.
const readyFD = 3

// maxReady bounds that message in bytes.
const maxReady = 64 << 10

// readiness is the one line of JSON that a child writes when it is open, or when
// it cannot be.
type readiness struct {
	Ready bool     `json:"ready"`
	Kind  qsc.Kind `json:"kind,omitempty"`
	Text  string   `json:"text,omitempty"`
}

// await returns when the child is ready, has failed or is gone.
func (p *proc) await(ctx context.Context, c *child, pipe *os.File) error {
	defer pipe.Close()
	stop := context.AfterFunc(ctx, func() { pipe.Close() })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(pipe, maxReady)).ReadBytes('\n')
	switch {
	case ctx.Err() != nil:
		return qsc.E("fleet.Start", qsc.Timeout, string(p.node), "given up: %w", context.Cause(ctx))
	case err != nil:
		return p.stillborn(c)
	}
	var r readiness
	if err := json.Unmarshal(line, &r); err != nil {
		return qsc.E("fleet.Start", qsc.Corrupt, string(p.node), "the node's first words are not understood: %w", err)
	}
	if !r.Ready {
		return qsc.E("fleet.Start", r.Kind, string(p.node), "the node does not start: %w", errors.New(r.Text))
	}
	return nil
}

// stillborn tells of a child that ended without a word on the pipe.
func (p *proc) stillborn(c *child) error {
	_ = c.cmd.Process.Kill() // it may have closed the pipe only
	<-c.done
	last := strings.TrimSpace(c.log.lastLine())
	if last == "" {
		last = "it said nothing"
	}
	return qsc.E("fleet.Start", qsc.Other, string(p.node), "the node's process ended while starting (%v): %s; see %s", c.cmd.ProcessState, last, c.log.path)
}

// say writes a child's readiness and closes the pipe.
func say(pipe *os.File, err error) error {
	defer pipe.Close()
	r := readiness{Ready: err == nil}
	if err != nil {
		r.Kind, r.Text = qsc.KindOf(err), err.Error()
	}
	b, merr := json.Marshal(r)
	if merr != nil {
		return merr
	}
	_, werr := pipe.Write(append(b, '\n'))
	return werr
}
