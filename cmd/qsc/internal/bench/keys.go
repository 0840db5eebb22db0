package bench

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	load004 "github.com/quantum-secure-cloud/qsc/gateway/etsi004/load"
	load014 "github.com/quantum-secure-cloud/qsc/gateway/etsi014/load"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
	"github.com/quantum-secure-cloud/qsc/sim/measure"
)

// KeysOptions steer Keys.
type KeysOptions struct {
	Dir      string        // scratch directory; "" is the system's temporary one
	Duration time.Duration // of each taking
	Runs     int           // takings of each figure, of which the median counts
	Progress func(text string)
}

// pairNetwork is two nodes, each a process, and a link whose rings hold, from the
// start, all that will be drawn.
const pairNetwork = `name = "keys"
[[site]]
id = "a"
[[site]]
id = "b"
[[node]]
id = "a"
[[node]]
id = "b"
[[link]]
ends = ["a", "b"]
kind = "preshared"
pad = "%d MiB"
`

// encryptors is how many pairs of them ask at once.
const encryptors = 14

// pad is the MiB of key that a direction of a link needs for all takings.
func (o KeysOptions) pad() int { return int(float64(o.Runs)*o.Duration.Seconds()*drawn) + 256 }

// drawn is about how fast a stream may be, in MiB a second, with room.
const drawn = 256

// Keys measures the key management layer: keys drawn at one node and fetched at
// the other by each protocol, clients included, beside a bare Go server behind
// the same TLS in the same run; relays; and the controller.
func Keys(ctx context.Context, opt KeysOptions) (rows []Row, err error) {
	dir, err := os.MkdirTemp(opt.Dir, "qsc-bench-")
	if err != nil {
		return nil, qsc.E("bench", qsc.Invalid, "", "%w", err)
	}
	defer os.RemoveAll(dir)
	for _, part := range []func(context.Context, string, KeysOptions) ([]Row, error){doorRows, relayRows, routeRows} {
		more, err := part(ctx, dir, opt)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// pairBench is two KMEs that are up and two applications.
type pairBench struct {
	fleet *fleet.Fleet
	ca    *enrol.CA
	kme   [2]node.KME
	conf  [2]*tls.Config
	door  sae.Config // of the bare server: node a's certificate
}

var pairIDs = [2]string{"alice", "bob"}

func openPair(ctx context.Context, dir string, opt KeysOptions) (b *pairBench, err error) {
	path := filepath.Join(dir, "keys.toml")
	if err := os.WriteFile(path, fmt.Appendf(nil, pairNetwork, opt.pad()), 0o600); err != nil {
		return nil, qsc.E("bench", qsc.NoSpace, "", "%w", err)
	}
	net, err := node.LoadNetwork(path)
	if err != nil {
		return nil, err
	}
	b = &pairBench{}
	if b.fleet, err = fleet.Open(ctx, net, filepath.Join(dir, "keys"), fleet.Options{}); err != nil {
		return nil, err
	}
	if err := errors.Join(b.admit(), b.release()); err != nil {
		return nil, errors.Join(err, b.fleet.Close())
	}
	if err := b.fleet.Start(ctx); err != nil {
		return nil, errors.Join(err, b.fleet.Close())
	}
	if low := b.fleet.Await(ctx, filled); len(low) > 0 {
		return nil, qsc.E("bench", qsc.Unreachable, "", "links that did not come up with their key: %v (%v)", low, b.fleet.Close())
	}
	return b, nil
}

// release takes the nodes from their controller, which would spread couriered key
// over a day.
func (b *pairBench) release() error {
	for _, n := range b.fleet.Network().Nodes {
		file := fleet.ConfigFile(b.fleet.NodeDir(n.ID))
		c, err := node.ReadConfig(file)
		if err != nil {
			return err
		}
		c.Control = node.Control{}
		if err := c.Save(file); err != nil {
			return err
		}
	}
	return nil
}

// admit enrols the two applications and reads where their doors are.
func (b *pairBench) admit() (err error) {
	if b.ca, err = enrol.OpenCA(filepath.Join(b.fleet.Dir(), fleet.CADir)); err != nil {
		return err
	}
	out := filepath.Join(b.fleet.Dir(), "sae")
	for i, id := range pairIDs {
		var pairs []enrol.Pair
		if i == 1 {
			pairs = []enrol.Pair{{Master: qsc.AppID(pairIDs[0]), Slave: qsc.AppID(pairIDs[1]), BothWays: true}}
		}
		at := b.fleet.Network().Nodes[i].ID
		if _, err := enrol.Edit(filepath.Join(b.fleet.Dir(), fleet.SAEFile), enrol.AddSAE(enrol.SAE{ID: qsc.AppID(id), Node: at}, pairs...)); err != nil {
			return err
		}
		cert, err := b.ca.SAE(qsc.AppID(id), enrol.Options{Out: out})
		if err != nil {
			return err
		}
		if b.conf[i], err = enrol.LoadTLS(cert.CertFile, cert.KeyFile, b.ca.CertFile()); err != nil {
			return err
		}
		c, err := node.LoadConfig(fleet.ConfigFile(b.fleet.NodeDir(at)))
		if err != nil {
			return err
		}
		b.kme[i] = c.KME
		if i == 0 {
			own, err := enrol.LoadTLS(c.TLS.Cert, c.TLS.Key, c.TLS.CA)
			if err != nil {
				return err
			}
			b.door = sae.Config{Certificate: own.Certificates[0], ClientCAs: own.ClientCAs}
		}
	}
	return nil
}

func doorRows(ctx context.Context, dir string, opt KeysOptions) (rows []Row, err error) {
	opt.Progress("doors: two nodes, filling their link")
	b, err := openPair(ctx, dir, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.fleet.Close()) }()
	for _, w := range []struct {
		name   string
		batch  int
		newTLS bool
		curve  tls.CurveID // 0: Go's choice
		unit   string
	}{
		{"etsi014-pairs", 1, false, 0, "pairs/s"},
		{"etsi014-batch128-keys", 128, false, 0, "keys/s"},
		// Encryptors and curl open a connection for each call, today with X25519 or
		// P-256, tomorrow with the hybrid.
		{"etsi014-newtls-pairs", 1, true, tls.X25519, "pairs/s"},
		{"etsi014-newtls-mlkem-pairs", 1, true, tls.X25519MLKEM768, "pairs/s"},
	} {
		opt.Progress(w.name)
		b.agree(w.curve)
		more, err := b.pairs(ctx, w.name, w.unit, load014.Plan{Batch: w.batch, NewTLS: w.newTLS, Duration: opt.Duration, Workers: encryptors}, opt.Runs)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	b.agree(0)
	opt.Progress("etsi004-stream")
	more, err := b.stream(ctx, opt)
	return append(rows, more...), err
}

// agree has both applications offer one key exchange only.
func (b *pairBench) agree(curve tls.CurveID) {
	for i := range b.conf {
		b.conf[i] = b.conf[i].Clone()
		b.conf[i].CurvePreferences = nil
		if curve != 0 {
			b.conf[i].CurvePreferences = []tls.CurveID{curve}
		}
	}
}

func (b *pairBench) plan(p load014.Plan, urls [2]string) load014.Plan {
	p.Master = load014.End{URL: urls[0], TLS: b.conf[0], SAE: pairIDs[0]}
	p.Slave = load014.End{URL: urls[1], TLS: b.conf[1], SAE: pairIDs[1]}
	return p
}

// pairs takes a figure and its yardstick in turn.
func (b *pairBench) pairs(ctx context.Context, name, unit string, p load014.Plan, runs int) ([]Row, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	bare, err := load014.Bare(l, b.door, p.Batch, 256)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	defer bare.Close()
	real := [2]string{"https://" + b.kme[0].ETSI014, "https://" + b.kme[1].ETSI014}
	yard := [2]string{"https://" + l.Addr().String(), "https://" + l.Addr().String()}
	if _, err := b.take(ctx, b.plan(p, real)); err != nil { // until the stock has found its size
		return nil, err
	}
	var rate, ratio, p99 []float64
	for range runs {
		got, err := b.take(ctx, b.plan(p, real))
		if err != nil {
			return nil, err
		}
		base, err := load014.Run(ctx, b.plan(p, yard))
		if err != nil {
			return nil, err
		}
		rate, ratio = append(rate, got.KeysPerSecond()), append(ratio, got.KeysPerSecond()/base.KeysPerSecond())
		p99 = append(p99, float64(got.P99.Microseconds())/1e3)
	}
	const versus = "a bare Go server behind the same mutual TLS"
	return []Row{{name, median(rate), unit, median(ratio), versus}, {name + "-p99", median(p99), "ms", median(p99) / 5, "5 ms"}}, nil
}

// take runs a plan whose every key must be right.
func (b *pairBench) take(ctx context.Context, p load014.Plan) (load014.Result, error) {
	r, err := load014.Run(ctx, p)
	if err == nil && (r.Errors > 0 || r.Wrong > 0) {
		err = qsc.E("bench", qsc.Other, "", "%d calls failed, the first with %w; %d keys were wrong", r.Errors, r.First, r.Wrong)
	}
	return r, err
}

func (b *pairBench) stream(ctx context.Context, opt KeysOptions) ([]Row, error) {
	var rate, ratio []float64
	for range opt.Runs {
		r, err := load004.Run(ctx, load004.Config{Duration: opt.Duration, Ends: [2]load004.End{
			{Addr: b.kme[0].ETSI004, TLS: b.conf[0], URI: pairIDs[0]}, {Addr: b.kme[1].ETSI004, TLS: b.conf[1], URI: pairIDs[1]},
		}})
		if err != nil {
			return nil, err
		}
		rate, ratio = append(rate, float64(r.Rate)/1e6), append(ratio, r.Ratio)
	}
	return []Row{{"etsi004-stream", median(rate), "Mbit/s", median(ratio), "zeros over a bare TLS connection"}}, nil
}

const roundBytes = 256 << 10

func relayRows(ctx context.Context, dir string, opt KeysOptions) ([]Row, error) {
	opt.Progress("relay-10hops: eleven nodes in a row, filling their links")
	r, err := measure.OpenRow(ctx, filepath.Join(dir, "ten"), 11, 16<<20)
	if err != nil {
		return nil, err
	}
	took, err := r.Latency(ctx, 1<<10, 300)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	slices.Sort(took)
	ms := float64(took[len(took)/2].Microseconds()) / 1e3
	opt.Progress("relay-3hops-throughput: four nodes in a row, filling their links")
	if r, err = measure.OpenRow(ctx, filepath.Join(dir, "three"), 4, int64(opt.pad())<<20); err != nil {
		return nil, err
	}
	var rates, ratios []float64
	for range opt.Runs {
		got, err := r.Throughput(ctx, roundBytes, 8, opt.Duration)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		a, b, c := noise(roundBytes), noise(roundBytes), make([]byte, roundBytes)
		xor := rate(roundBytes, func() { subtle.XORBytes(c, a, b) })
		rates, ratios = append(rates, float64(got)/1e6), append(ratios, float64(got)/8/xor)
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	return []Row{
		{"relay-3hops-throughput", median(rates), "Mbit/s", median(ratios), "XOR of the same stretch on one core"},
		{"relay-10hops", ms, "ms", ms / 5, "5 ms"},
	}, nil
}

func routeRows(ctx context.Context, dir string, opt KeysOptions) ([]Row, error) {
	opt.Progress("route-1000nodes, reroute-cut")
	var full, cut, re []float64
	demands := 0
	for range max(3, opt.Runs) {
		r, err := measure.Routes()
		if err != nil {
			return nil, err
		}
		demands = r.Demands
		full, cut = append(full, r.Full.Seconds()), append(cut, r.Cut.Seconds())
		took, _, err := measure.Reroute(ctx, dir)
		if err != nil {
			return nil, err
		}
		re = append(re, took.Seconds())
		if err := os.Remove(filepath.Join(dir, "control.db")); err != nil {
			return nil, err
		}
	}
	return []Row{
		{"route-1000nodes", median(full), "s", median(full), fmt.Sprintf("1 s, for %d pairs over three paths", demands)},
		{"route-1000nodes-cut", median(cut), "s", median(cut) / 0.1, "0.1 s, for the busiest link"},
		{"reroute-cut", median(re), "s", median(re), "1 s, on 100 nodes, from the word of the cut"},
	}, nil
}
