// Package load drives two ETSI GS QKD 014 servers as many pairs of encryptors
// would and measures what they do. Package-level Bare is the yardstick: the same
// HTTPS, with no key management behind it.
//
// It checks that both ends got the same keys and never the same key twice. It
// starts no server and judges no figure.
package load

import (
	"context"
	"crypto/tls"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
)

// End is one side: an SAE and its KME.
type End struct {
	URL string
	TLS *tls.Config
	SAE string // its ID, as the other end names it
}

// Plan says what to do.
type Plan struct {
	Master, Slave End
	Workers       int           // 0: 8 for each processor
	Batch         int           // keys in a request; 0: 1
	Size          int64         // bits; 0: the KME's default
	NewTLS        bool          // a connection for every call
	Duration      time.Duration // 0: 2 s
	MaxPairs      int64         // 0: no bound but Duration
	Once          bool          // note every key ID, to find one given out twice
}

// Result is what came out. A pair is enc_keys and then dec_keys.
type Result struct {
	Pairs   int64         // complete
	Keys    int64         // delivered to both ends
	Elapsed time.Duration //
	P50     time.Duration // of a pair
	P99     time.Duration
	Errors  int64 // calls that failed
	First   error // the first of them
	Wrong   int64 // keys that differ between the ends, or came twice
}

// PairsPerSecond is the rate of pairs.
func (r Result) PairsPerSecond() float64 { return float64(r.Pairs) / r.Elapsed.Seconds() }

// KeysPerSecond is the rate of keys, each delivered to both ends.
func (r Result) KeysPerSecond() float64 { return float64(r.Keys) / r.Elapsed.Seconds() }

// run is a plan under way.
type run struct {
	plan  Plan
	until time.Time

	mu    sync.Mutex
	sum   Result
	times []time.Duration
	seen  map[qsc.KeyID]struct{}
}

// Run carries the plan out. Failed calls are counted, and end the run after 100.
// Error: Invalid for a plan that cannot begin.
func Run(ctx context.Context, p Plan) (Result, error) {
	if p.Workers <= 0 {
		p.Workers = 8 * runtime.GOMAXPROCS(0)
	}
	if p.Duration <= 0 {
		p.Duration = 2 * time.Second
	}
	p.Batch = max(1, p.Batch)
	master, slave, err := p.clients()
	if err != nil {
		return Result{}, err
	}
	defer master.Close()
	defer slave.Close()
	start := time.Now()
	r := &run{plan: p, until: start.Add(p.Duration), seen: map[qsc.KeyID]struct{}{}}
	var g errgroup.Group
	for range p.Workers {
		g.Go(func() error { r.work(ctx, master, slave); return nil })
	}
	_ = g.Wait()
	r.sum.Elapsed = time.Since(start)
	slices.Sort(r.times)
	if n := len(r.times); n > 0 {
		r.sum.P50, r.sum.P99 = r.times[n/2], r.times[n*99/100]
	}
	return r.sum, nil
}

func (p Plan) clients() (master, slave *etsi014.Client, err error) {
	for _, e := range []struct {
		end End
		to  **etsi014.Client
	}{{p.Master, &master}, {p.Slave, &slave}} {
		if *e.to, err = etsi014.NewClient(etsi014.ClientConfig{URL: e.end.URL, TLS: e.end.TLS, NewConnections: p.NewTLS}); err != nil {
			return nil, nil, err
		}
	}
	return master, slave, nil
}

// work makes pairs one after the other.
func (r *run) work(ctx context.Context, master, slave *etsi014.Client) {
	for ctx.Err() == nil && time.Now().Before(r.until) {
		start := time.Now()
		enc, dec, err := r.pair(ctx, master, slave)
		if more := r.note(enc, dec, err, time.Since(start)); !more {
			return
		}
	}
}

func (r *run) pair(ctx context.Context, master, slave *etsi014.Client) (enc, dec *etsi014.Container, err error) {
	req := etsi014.KeyRequest{Size: r.plan.Size}
	if r.plan.Batch > 1 {
		req.Number = r.plan.Batch
	}
	enc, err = master.EncKeys(ctx, r.plan.Slave.SAE, req)
	if err != nil {
		return nil, nil, err
	}
	dec, err = slave.DecKeys(ctx, r.plan.Master.SAE, enc.IDs...)
	return enc, dec, err
}

// note takes one pair into the result and reports whether to go on.
func (r *run) note(enc, dec *etsi014.Container, err error, took time.Duration) bool {
	same := err == nil && enc.Size == dec.Size && enc.Bytes.Equal(dec.Bytes)
	for _, c := range []*etsi014.Container{enc, dec} {
		if c != nil {
			c.Bytes.Zeroise()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if r.sum.Errors++; r.sum.First == nil {
			r.sum.First = err
		}
		return r.sum.Errors < 100
	}
	r.sum.Pairs++
	r.sum.Keys += int64(len(enc.IDs))
	r.times = append(r.times, took)
	if !same {
		r.sum.Wrong += int64(len(enc.IDs))
	}
	if r.plan.Once {
		r.once(enc.IDs)
	}
	return r.plan.MaxPairs == 0 || r.sum.Pairs+int64(r.plan.Workers) <= r.plan.MaxPairs
}

func (r *run) once(ids []qsc.KeyID) {
	for _, id := range ids {
		if _, ok := r.seen[id]; ok {
			r.sum.Wrong++
		}
		r.seen[id] = struct{}{}
	}
}
