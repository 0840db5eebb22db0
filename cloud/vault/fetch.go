package vault

import (
	"context"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

const (
	ahead     = 4                // chunks fetched ahead of each site
	stallTime = 10 * time.Second // a site that stands still so long is left, unless it waits for key
)

// fetching reads one site's pieces ahead of their use.
type fetching struct {
	pl     cloud.Placement
	out    chan *fetched
	cancel context.CancelFunc
	wg     sync.WaitGroup
	pool   sync.Pool
}

// fetched is one piece, or why there is none.
type fetched struct {
	from  *fetching
	piece []byte
	err   error
}

func (v *Vault) fetch(ctx context.Context, rec *cloud.Record, pl cloud.Placement, first, last uint32) *fetching {
	ctx, cancel := context.WithCancel(ctx)
	f := &fetching{pl: pl, out: make(chan *fetched, ahead), cancel: cancel}
	f.wg.Go(func() { f.run(ctx, v.sites[pl.Site].Site, rec.Ref, first, last) })
	return f
}

func (f *fetching) run(ctx context.Context, site cloud.Site, ref cloud.Ref, first, last uint32) {
	r, err := site.Open(ctx, ref, first, last-first)
	if err != nil {
		f.put(ctx, &fetched{from: f, err: err})
		return
	}
	defer r.Close()
	for range last - first {
		p, err := r.Next()
		x, _ := f.pool.Get().(*fetched)
		if x == nil {
			x = &fetched{from: f}
		}
		x.piece, x.err = append(x.piece[:0], p...), err
		if !f.put(ctx, x) || err != nil {
			return
		}
	}
}

func (f *fetching) put(ctx context.Context, x *fetched) bool {
	select {
	case f.out <- x:
		return true
	case <-ctx.Done():
		return false
	}
}

// next returns the next piece in order. A site that stalls though it has key is
// unreachable.
func (f *fetching) next(ctx context.Context, v *Vault) *fetched {
	select {
	case x := <-f.out:
		return x
	default:
	}
	t := time.NewTicker(stallTime)
	defer t.Stop()
	for {
		select {
		case x := <-f.out:
			return x
		case <-ctx.Done():
			return &fetched{from: f, err: context.Cause(ctx)}
		case <-t.C:
			if v.sites[f.pl.Site].Budget().Stall == "" {
				return &fetched{from: f, err: qsc.E("vault.fetch", qsc.Unreachable, string(f.pl.Site), "the site has sent nothing for %v", stallTime)}
			}
		}
	}
}

func (f *fetching) close() {
	f.cancel()
	f.wg.Wait()
}

func (g *getting) recycle(got []*fetched) {
	for _, x := range got {
		x.from.pool.Put(x)
	}
}

func bytesOf(got []*fetched) [][]byte {
	all := make([][]byte, len(got))
	for i, x := range got {
		all[i] = x.piece
	}
	return all
}
