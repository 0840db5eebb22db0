package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/progress"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

// refuseTime bounds how long a restore without enough sites may take to say so.
const refuseTime = 30 * time.Second

// loseAndGet kills as many sites as the shares can do without, and gets the file
// back from the others.
func (r *run) loseAndGet(ctx context.Context) error {
	for range r.N - r.K {
		if err := r.kill(); err != nil {
			return err
		}
	}
	r.lost()
	path := filepath.Join(r.fleet.Dir(), "restored")
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return qsc.E("demo", qsc.NoSpace, "", "%w", err)
	}
	defer out.Close()
	bar := progress.Start(ctx, r.opt.Bars, "get", r.Bytes, r.waiting)
	defer bar.Stop()
	start := time.Now()
	rep, err := r.home.Get(ctx, r.name(), bar.Writer(out), 0, -1)
	r.Get = transfer(r.Bytes, time.Since(start), rep.Sites)
	bar.Stop()
	if err != nil {
		return err
	}
	if r.Identical, err = same(ctx, r.plan.file, path); err != nil {
		return err
	}
	if !r.Identical {
		return qsc.E("demo", qsc.Corrupt, "", "the file that came back is not the file that was stored")
	}
	r.gotten()
	return os.Remove(path)
}

// probe is how much of the file is asked for below k sites: a little pad shows
// that not even the beginning comes back.
const probe = 1 << 20

// loseTooMany kills one site more and sees the restore refuse.
func (r *run) loseTooMany(ctx context.Context) error {
	if err := r.kill(); err != nil {
		return err
	}
	r.tooMany()
	bounded, cancel := context.WithTimeout(ctx, refuseTime)
	defer cancel()
	var got counter
	start := time.Now()
	_, err := r.home.Get(bounded, r.name(), &got, 0, probe)
	took := time.Since(start)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case r.Bytes == 0 && err == nil:
		// An empty file has no bytes to protect.
	case err == nil || got > 0:
		return qsc.E("demo", qsc.Corrupt, "", "%d bytes came back from fewer than %d shares", got, r.K)
	case !qsc.IsKind(err, qsc.Insufficient):
		return qsc.E("demo", qsc.Other, "", "the restore failed, but not for want of shares: %w", err)
	}
	if err != nil {
		r.Refusal = Refusal{Kind: qsc.KindOf(err).String(), Text: show.Error(err), Seconds: took.Seconds()}
	}
	r.refused()
	return nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// same compares two files bit for bit.
func same(ctx context.Context, a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, qsc.E("demo", qsc.Other, "", "%w", err)
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, qsc.E("demo", qsc.Other, "", "%w", err)
	}
	defer fb.Close()
	return equal(ctx, fa, fb)
}

func equal(ctx context.Context, a, b io.Reader) (bool, error) {
	bufA, bufB := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		na, errA := io.ReadFull(a, bufA)
		nb, errB := io.ReadFull(b, bufB)
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case !bytes.Equal(bufA[:na], bufB[:nb]):
			return false, nil
		case ended(errA) && ended(errB):
			return true, nil
		case errA != nil || errB != nil:
			return false, qsc.E("demo", qsc.Other, "", "cannot compare: %w", errors.Join(errA, errB))
		}
	}
}

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// account reads the books of the links that the file took, and checks those of
// every node that still answers.
func (r *run) account(ctx context.Context) error {
	r.Balanced = true
	for _, n := range r.plan.net.Nodes {
		if r.fleet.PID(n.ID) == 0 {
			continue
		}
		s, err := admin.NewClient(r.fleet.NodeDir(n.ID)).Status(ctx)
		if err != nil {
			return err
		}
		for _, l := range s.Links {
			r.Balanced = r.Balanced && l.Balanced && l.Send.Balanced() && l.Recv.Balanced()
			if n.ID == r.Home && r.plan.used[l.ID] {
				r.Links = append(r.Links, Link{
					ID: l.ID, Peer: l.Peer, Class: l.Class, Burnt: l.Send.Burnt + l.Recv.Burnt,
					SendUsed: l.Send.Used, SendLeft: l.Send.Left, RecvUsed: l.Recv.Used, RecvLeft: l.Recv.Left,
				})
			}
		}
	}
	if !r.Balanced {
		return qsc.E("demo", qsc.Conflict, "", "the books of a link do not balance: produced is not used + burnt + left")
	}
	return nil
}
