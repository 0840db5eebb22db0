// Package load draws key from two KMEs by ETSI GS QKD 004 as fast as they give
// it, checks that both ends got the same bytes, and measures a bare TLS stream of
// zeros beside it. It is a yardstick for operators and for "qsc bench keys".
//
// It makes no KME and uses the key for nothing.
package load

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi004"
)

// End is one application and its KME.
type End struct {
	Addr string
	TLS  *tls.Config
	URI  string // the application
}

// Config of a run. Zero fields take the default.
type Config struct {
	Ends     [2]End
	Chunk    int           // bytes, 1 MiB
	Depth    int           // requests under way at each end, 4
	Duration time.Duration // 2 s, each for key and for zeros
}

// Result of a run.
type Result struct {
	Chunks  int
	Bytes   int64         // of key that both ends got
	Elapsed time.Duration // from the first request to the last comparison
	Rate    qsc.BitRate   // of key at each end
	Bare    qsc.BitRate   // of zeros at each end, over as many TLS connections
	Ratio   float64       // Rate / Bare
}

// round is how many chunks both ends draw before they look at the clock.
const round = 64

// Run measures. Errors: those of the clients; Conflict when the ends got
// different bytes.
func Run(ctx context.Context, cfg Config) (Result, error) {
	cfg.Chunk, cfg.Depth = cmp.Or(cfg.Chunk, 1<<20), cmp.Or(cfg.Depth, 4)
	cfg.Duration = cmp.Or(cfg.Duration, 2*time.Second)
	var clients [2]*etsi004.Client
	for i, e := range cfg.Ends {
		c, err := etsi004.Dial(ctx, e.Addr, e.TLS)
		if err != nil {
			return Result{}, err
		}
		defer c.Close()
		clients[i] = c
	}
	id, err := open(ctx, cfg, clients)
	if err != nil {
		return Result{}, err
	}
	r, err := draw(ctx, cfg, clients, id)
	if err != nil {
		return r, err
	}
	for _, c := range clients {
		if err := c.CloseStream(ctx, id); err != nil {
			return r, err
		}
	}
	if r.Bare, err = bare(ctx, cfg); err == nil && r.Bare > 0 {
		r.Ratio = float64(r.Rate / r.Bare)
	}
	return r, err
}

// open opens one stream at both ends under an ID chosen here.
func open(ctx context.Context, cfg Config, clients [2]*etsi004.Client) (id etsi004.KSID, err error) {
	if _, err := rand.Read(id[:]); err != nil {
		return id, err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	g, ctx := errgroup.WithContext(ctx)
	for i, c := range clients {
		g.Go(func() error {
			_, err := c.Open(ctx, etsi004.OpenRequest{Source: cfg.Ends[i].URI, Destination: cfg.Ends[1-i].URI, ID: id,
				QoS: etsi004.QoS{ChunkSize: uint32(cfg.Chunk), Mimetype: etsi004.JSON}})
			return err
		})
	}
	return id, g.Wait()
}

// draw draws rounds until the time is over.
func draw(ctx context.Context, cfg Config, clients [2]*etsi004.Client, id etsi004.KSID) (Result, error) {
	var r Result
	free := make(chan []byte, 4)
	for range cap(free) {
		free <- make([]byte, cfg.Chunk)
	}
	begin := time.Now()
	for r.Elapsed < cfg.Duration {
		first := uint32(r.Chunks)
		full := make(chan []byte, cap(free))
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error {
			p := clients[0].Pipeline(id, first, first+round, etsi004.MaxMeta, cfg.Depth)
			return collect(ctx, p, free, full)
		})
		g.Go(func() error {
			p := clients[1].Pipeline(id, first, first+round, etsi004.MaxMeta, cfg.Depth)
			return compare(ctx, p, cfg.Chunk, full, free)
		})
		if err := g.Wait(); err != nil {
			return r, err
		}
		r.Chunks += round
		r.Elapsed = time.Since(begin)
	}
	r.Bytes = int64(r.Chunks) * int64(cfg.Chunk)
	r.Rate = rate(r.Bytes, r.Elapsed)
	return r, nil
}

func rate(n int64, d time.Duration) qsc.BitRate { return qsc.BitRate(float64(n) * 8 / d.Seconds()) }

// collect hands the chunks of one end on.
func collect(ctx context.Context, p *etsi004.Pipeline, free <-chan []byte, full chan<- []byte) error {
	for range round {
		var b []byte
		select {
		case b = <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if _, _, err := p.Next(ctx, b); err != nil {
			return err
		}
		full <- b // never full: as much room as buffers
	}
	return nil
}

// compare draws the chunks of the other end and compares, then wipes.
func compare(ctx context.Context, p *etsi004.Pipeline, chunk int, full <-chan []byte, free chan<- []byte) error {
	mine := make([]byte, chunk)
	defer clear(mine)
	for range round {
		index, _, err := p.Next(ctx, mine)
		if err != nil {
			return err
		}
		select {
		case b := <-full:
			if !bytes.Equal(b, mine) {
				return qsc.E("load.Run", qsc.Conflict, "", "the two ends got different bytes at index %d: the KMEs do not share this stream", index)
			}
			clear(b)
			free <- b
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
