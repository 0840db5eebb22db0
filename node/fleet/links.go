package fleet

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

// How often the nodes are asked for their links: soon at first, then less often.
const (
	firstAsk = 20 * time.Millisecond
	lastAsk  = 500 * time.Millisecond
)

// Await returns when good holds for both ends of every link whose nodes run, or
// when ctx ends: then it names the links for which it does not. It asks the nodes
// now and then.
func (f *Fleet) Await(ctx context.Context, good func(admin.Link) bool) []qsc.LinkID {
	for pause := firstAsk; ; pause = min(2*pause, lastAsk) {
		bad := f.lacking(ctx, good)
		if len(bad) == 0 {
			return nil
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return bad
		case <-t.C:
		}
	}
}

// lacking asks all nodes and names the links that are not good, in file order.
func (f *Fleet) lacking(ctx context.Context, good func(admin.Link) bool) []qsc.LinkID {
	fine := map[qsc.LinkID]int{}
	for _, p := range f.procs {
		if p.pid() == 0 {
			continue
		}
		s, err := admin.NewClient(p.dir).Status(ctx)
		if err != nil {
			continue
		}
		for _, l := range s.Links {
			if good(l) {
				fine[l.ID]++
			}
		}
	}
	var bad []qsc.LinkID
	for _, l := range f.net.Links {
		if f.PID(l.Ends[0]) != 0 && f.PID(l.Ends[1]) != 0 && fine[l.ID] < 2 {
			bad = append(bad, l.ID)
		}
	}
	return bad
}
