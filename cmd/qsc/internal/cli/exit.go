package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
)

// Exit codes of the program. They are kept for good.
const (
	exitOK          = 0
	exitOther       = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
	exitTerminated  = 143 // 128 + SIGTERM
	exitPipe        = 141 // 128 + SIGPIPE
)

// exitCodes gives each Kind its code and the words of `qsc help exit-codes`.
var exitCodes = []struct {
	code  int
	kinds []qsc.Kind
	text  string
}{
	{exitOK, nil, "done"},
	{exitOther, []qsc.Kind{qsc.Other}, "a failure without a code of its own"},
	{exitUsage, []qsc.Kind{qsc.Invalid}, "wrong usage, or an input that is not valid"},
	{3, []qsc.Kind{qsc.NotFound}, "no such object, file, link, node or network"},
	{4, []qsc.Kind{qsc.Exists}, "the name or the file is taken"},
	{5, []qsc.Kind{qsc.Exhausted}, "key exhausted: a link has no pad left"},
	{6, []qsc.Kind{qsc.Unreachable}, "a node does not run or does not answer"},
	{7, []qsc.Kind{qsc.Tampered, qsc.Corrupt}, "tampering or damage detected"},
	{8, []qsc.Kind{qsc.NoSpace}, "no space left"},
	{9, []qsc.Kind{qsc.Insufficient}, "not enough shares or sites"},
	{10, []qsc.Kind{qsc.Denied}, "not allowed"},
	{11, []qsc.Kind{qsc.Conflict}, "two states disagree"},
	{12, []qsc.Kind{qsc.Busy}, "somebody else has the directory"},
	{13, []qsc.Kind{qsc.Timeout}, "timed out"},
	{14, []qsc.Kind{qsc.Unsupported}, "not offered by this version or at this node"},
	{15, []qsc.Kind{qsc.Scarce, qsc.Noisy, qsc.Keyless, qsc.Replayed}, "a quantum link yields no key"},
	{exitInterrupted, nil, "interrupted by Ctrl-C (SIGINT)"},
	{exitPipe, nil, "the reader of standard output went away"},
	{exitTerminated, nil, "ended by SIGTERM or SIGHUP"},
}

// interrupted is the cause of a context that a signal has ended.
type interrupted struct{ sig syscall.Signal }

func (i interrupted) Error() string { return "interrupted" }

func (i interrupted) code() int {
	if i.sig == syscall.SIGINT {
		return exitInterrupted
	}
	return exitTerminated
}

// usage is an error in how the program was called.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// codeOf is the exit code for an error.
func codeOf(ctx context.Context, err error) int {
	var sig interrupted
	var use usage
	switch {
	case err == nil:
		return exitOK
	case errors.As(context.Cause(ctx), &sig):
		return sig.code()
	case errors.Is(err, syscall.EPIPE):
		return exitPipe
	case errors.As(err, &use):
		return exitUsage
	}
	for _, c := range exitCodes {
		for _, k := range c.kinds {
			if k == qsc.KindOf(err) {
				return c.code
			}
		}
	}
	return exitOther
}

// failure is an error as programs get it, on standard error with --json.
type failure struct {
	Code int    `json:"code"` // the exit code
	Kind string `json:"kind"`
	Node string `json:"node,omitempty"`
	Text string `json:"text"`
}

// complain writes an error: one line for people, one object for programs.
func complain(w io.Writer, asJSON bool, err error, code int) {
	f := failure{Code: code, Kind: kindText(err, code), Text: plain(err)}
	var e *qsc.Error
	if errors.As(err, &e) {
		f.Node = e.Node
	}
	if asJSON {
		_ = json.NewEncoder(w).Encode(map[string]failure{"error": f})
		return
	}
	if code == exitPipe {
		return // nobody asked for more
	}
	if errors.As(err, new(lines)) {
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "qsc: "+f.Text)
}

func kindText(err error, code int) string {
	switch code {
	case exitUsage:
		return qsc.Invalid.String()
	case exitInterrupted, exitTerminated:
		return "interrupted"
	}
	return qsc.KindOf(err).String()
}

func plain(err error) string { return show.Error(err) }
