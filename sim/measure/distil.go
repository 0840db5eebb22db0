package measure

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
)

// What the two ends of a measured distillation share.
const (
	DistilBlock = 1 << 27 // sifted bits in a round
	distilBlock = 1 << 20 // bytes in a key block
	distilRoom  = 1 << 30
)

// DistilRounds is a distillation that was measured.
type DistilRounds struct {
	Rounds int
	Sifted float64 // bits a second, from sifted stream to key, both ends at work
	Key    float64 // bits a second
	F      float64 // mean reconciliation efficiency
}

// FoundDistil makes the directories of both ends of a link below dir.
func FoundDistil(dir string) (ends [2]string, err error) {
	var fs [2]durable.FS
	for i, name := range []string{"alice", "bob"} {
		ends[i] = filepath.Join(dir, name)
		if err := os.MkdirAll(ends[i], 0o700); err != nil {
			return ends, qsc.E("measure.FoundDistil", qsc.NoSpace, ends[i], "%w", err)
		}
		d, err := durable.Dir(ends[i])
		if err != nil {
			return ends, err
		}
		defer d.Close()
		fs[i] = d
	}
	return ends, distill.Found(fs, rand.Reader)
}

// openDistil opens one end over a sifted stream with errors.
func openDistil(dir string, role distill.Role, qber float64, l net.Listener, addr string) (*distill.Link, error) {
	fs, err := durable.Dir(dir)
	if err != nil {
		return nil, err
	}
	stream, err := distill.NewStream(distill.StreamConfig{Role: role, World: quantum.World{Seed: [32]byte{1}, Start: time.Unix(1e9, 0)}, Block: DistilBlock, QBER: qber})
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return distill.Open(distill.Config{
		Link: "bench", Role: role, Block: distilBlock, FS: fs, Protocol: stream, Reconciler: cascade.New(cascade.Config{}),
		Listen: l, Dial: func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) },
		Device: "stream", Kind: "stream", Class: qsc.Simulated, Room: distilRoom,
	})
}

// DistilBob is the other process: it distils and throws the key away until ctx
// ends.
func DistilBob(ctx context.Context, dir, addr string, qber float64) error {
	l, err := openDistil(dir, distill.Bob, qber, nil, addr)
	if err != nil {
		return err
	}
	err = drain(ctx, l, nil)
	return errors.Join(err, l.Close())
}

// drain takes every block until enough says so or ctx ends, which is no error.
func drain(ctx context.Context, l *distill.Link, enough func() bool) error {
	next := uint64(0)
	for enough == nil || !enough() {
		b, err := l.Next(ctx, func(seq uint64) bool { return seq >= next })
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		next = b.Seq + 1
		b.Key.Zeroise()
		if err := l.Accept(b); err != nil {
			return err
		}
	}
	return nil
}

// DistilAlice distils with the process that calls on l, for so many rounds after
// the first.
func DistilAlice(ctx context.Context, dir string, l net.Listener, qber float64, rounds int) (DistilRounds, error) {
	link, err := openDistil(dir, distill.Alice, qber, l, "")
	if err != nil {
		return DistilRounds{}, err
	}
	defer link.Close()
	var records []quantum.Record
	if err := drain(ctx, link, func() bool {
		records = link.Records(rounds + 1)
		return len(records) > rounds
	}); err != nil {
		return DistilRounds{}, err
	}
	if len(records) <= rounds {
		return DistilRounds{}, qsc.E("measure.DistilAlice", qsc.Timeout, "", "%d rounds of %d in the time: %w", len(records), rounds, context.Cause(ctx))
	}
	r := DistilRounds{Rounds: rounds}
	took := records[0].ProducedAt.Sub(records[rounds].ProducedAt).Seconds()
	for _, x := range records[:rounds] {
		r.Sifted += float64(x.Sifted) / took
		r.Key += float64(x.Length) / took
		r.F += x.Efficiency / float64(rounds)
	}
	return r, nil
}
