package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi004"
)

const streamChunk = 4096

// tape is what the two ends of a stream have got, by index.
type tape struct {
	oracle *oracle
	mu     sync.Mutex
	got    [2]map[uint32]uint64
}

// take notes a chunk; it was had at this end never, and if at the other, the same.
func (p *tape) take(end int, index uint32, key []byte) {
	h := p.oracle.hash(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, twice := p.got[end][index]
	other, both := p.got[1-end][index]
	p.got[end][index] = h
	if twice {
		p.oracle.fail("end %d was given chunk %d twice", end, index)
	}
	if both && other != h {
		p.oracle.fail("the two ends have different key at chunk %d", index)
	}
	if !both {
		p.oracle.words(0, key)
	}
}

// both counts the chunks that both ends have, and those of one alone.
func (p *tape) both() (both, one int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.got[0] {
		if _, ok := p.got[1][i]; ok {
			both++
		}
	}
	return both, len(p.got[0]) + len(p.got[1]) - 2*both
}

// drawer is one application's end of a stream; it connects anew and opens anew as
// often as it takes.
type drawer struct {
	n        *network
	app      qsc.AppID
	peer     qsc.AppID
	id       etsi004.KSID
	end      int
	tape     *tape
	progress *atomic.Int64
	next     uint32
	last     error
}

func (d *drawer) open(ctx context.Context) (*etsi004.Client, error) {
	a := d.n.saes[d.app]
	c, err := etsi004.Dial(ctx, a.ETSI004, a.tls)
	if err != nil {
		return nil, err
	}
	_, err = c.Open(ctx, etsi004.OpenRequest{Source: string(d.app), Destination: string(d.peer), ID: d.id,
		QoS: etsi004.QoS{ChunkSize: streamChunk, Timeout: 8000, TTL: 600}})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// draw gets chunks until ctx ends.
func (d *drawer) draw(ctx context.Context) error {
	for ctx.Err() == nil {
		c, err := d.open(ctx)
		if err == nil {
			err = d.run(ctx, c)
			_ = c.Close()
		}
		if d.last = err; !passes(err) {
			return fmt.Errorf("%s: %w", d.app, err)
		}
		t := time.NewTimer(20 * time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
		case <-t.C:
		}
	}
	return nil
}

// passes reports whether a fault explains an error.
func passes(err error) bool {
	switch qsc.KindOf(err) {
	case qsc.Unreachable, qsc.Timeout, qsc.Exhausted, qsc.NotFound, qsc.Busy:
		return true
	}
	return err == nil || errors.Is(err, context.Canceled)
}

// run gets chunk after chunk over one connection. One that is refused for good is
// passed over.
func (d *drawer) run(ctx context.Context, c *etsi004.Client) error {
	key := make([]byte, streamChunk)
	defer clear(key)
	for ctx.Err() == nil {
		_, err := c.Get(ctx, etsi004.GetRequest{ID: d.id, Index: d.next, MetaRoom: 1024}, key)
		var refusal *etsi004.StatusError
		switch {
		case err == nil:
			d.tape.take(d.end, d.next, key)
			d.next++
			d.progress.Add(1)
		case errors.As(err, &refusal) && refusal.Status == etsi004.Insufficient:
			d.next = max(d.next+1, refusal.Index)
		case errors.As(err, &refusal) && refusal.Status == etsi004.TimedOut:
		default:
			return err
		}
	}
	return nil
}

// Two applications draw a stream by ETSI GS QKD 004 while their nodes and those
// between are killed: what both have at an index is the same, nothing comes twice,
// and after every kill there is more.
func TestStreamAcrossKills(t *testing.T) {
	t.Parallel()
	kills := 8
	if long() {
		kills = 100
	}
	w := &world{network: open(t, simulated), seed: seed(t), oracle: newOracle(), kills: map[qsc.NodeID]int64{}}
	t.Logf("QSC_SEED=%d", w.seed)
	r := mrand.New(mrand.NewPCG(w.seed, 4))
	p := &tape{oracle: w.oracle, got: [2]map[uint32]uint64{{}, {}}}
	var id etsi004.KSID
	_, _ = rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	ctx, cancel := context.WithCancel(t.Context())
	ends := []*drawer{{app: "alice", peer: "bob"}, {app: "bob", peer: "alice", end: 1}}
	wrong := make([]error, len(ends))
	var drawing sync.WaitGroup
	for i, d := range ends {
		d.n, d.id, d.tape, d.progress = w.network, id, p, &atomic.Int64{}
		drawing.Go(func() { wrong[i] = d.draw(ctx) })
	}
	slowest := time.Duration(0)
	for range kills {
		slowest = max(slowest, w.more(ends, wrong, 20))
		f := fault{kind: []string{"kill", "kill", "kill", "stillborn", "part", "cut"}[r.IntN(6)], node: nodes[r.IntN(len(nodes))],
			link: w.Net.Links[r.IntN(len(w.Net.Links))].ID, long: time.Duration(r.IntN(300)) * time.Millisecond, soon: true}
		now := make(chan struct{})
		close(now)
		w.inflict(f, now, now)
		w.revive()
	}
	slowest = max(slowest, w.more(ends, wrong, 20))
	w.Until("most of the chunks at both ends", func() bool { // one may be ahead for a while
		both, one := p.both()
		return both >= one
	})
	cancel()
	drawing.Wait()
	w.accounts()
	w.oracles()
	both, one := p.both()
	t.Logf("%d chunks at both ends, %d at one alone; after a fault 20 more at either end within %v", both, one, slowest.Round(time.Millisecond))
}

// more waits until either end has so many more chunks.
func (w *world) more(ends []*drawer, wrong []error, n int64) time.Duration {
	w.T.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, d := range ends {
		for from := d.progress.Load(); d.progress.Load() < from+n; <-tick.C {
			if time.Since(began) > patience {
				w.fatal("%s draws nothing any more: the ends stand at chunks %d and %d, the last errors are %v, %v, %v", d.app, ends[0].progress.Load(), ends[1].progress.Load(), ends[0].last, ends[1].last, wrong)
			}
		}
	}
	return time.Since(began)
}
