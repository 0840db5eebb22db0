package fleet

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/quantum-secure-cloud/qsc/node"
)

// closeTime bounds a node's shutdown. What is cut off then is as after a crash:
// it burns key and loses nothing that was acknowledged.
const closeTime = 15 * time.Second

var errOrphan = errors.New("the supervisor is gone")

// Run opens the node of a configuration file and returns after ctx has ended and
// the node is closed. It is what a node's process does.
//
// A supervised child reports its readiness to its Fleet and ends, too, when the
// Fleet's process does.
func Run(ctx context.Context, configFile string, supervised bool, log *slog.Logger) error {
	if !supervised {
		return run(ctx, configFile, log, func(err error) error { return nil })
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // ends with the process: it waits for its parent's end
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel(errOrphan)
	}()
	pipe := os.NewFile(readyFD, "ready")
	return run(ctx, configFile, log, func(err error) error { return say(pipe, err) })
}

func run(ctx context.Context, configFile string, log *slog.Logger, started func(error) error) error {
	cfg, err := node.LoadConfig(configFile)
	if err != nil {
		return errors.Join(err, started(err))
	}
	n, err := node.Open(ctx, cfg, log)
	if err != nil {
		return errors.Join(err, started(err))
	}
	if err := started(nil); err != nil {
		log.Warn("the supervisor does not listen", "err", err)
	}
	<-ctx.Done()
	log.Info("node closes", "why", context.Cause(ctx))
	late := time.AfterFunc(closeTime, func() {
		log.Error("node did not close in time", "limit", closeTime)
		os.Exit(1)
	})
	defer late.Stop()
	return n.Close()
}
