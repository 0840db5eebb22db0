package bench

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/toeplitz"
	"github.com/quantum-secure-cloud/qsc/sim/measure"
)

// DistillOptions steer Distill.
type DistillOptions struct {
	Dir      string // scratch directory; "" is the system's temporary one
	Rounds   int    // of the pair of processes, each of 2²⁷ sifted bits
	Runs     int    // takings of the other figures, of which the median counts
	Progress func(text string)
}

// errorRate is that of the rows called 2pct.
const errorRate = 0.02

// Distill measures the quantum layer's work on bits: a pair of processes that
// distil a sifted stream, and its two dear stages by themselves, beside the XOR of
// as many bits; and how much faster than a device it is simulated.
func Distill(ctx context.Context, opt DistillOptions) ([]Row, error) {
	xor := xorRate()
	opt.Progress("two processes distil")
	pair, err := distillPair(ctx, opt)
	if err != nil {
		return nil, err
	}
	rows := []Row{
		{"distill-2pct-sifted", pair.Sifted / 1e6, "Mbit/s", pair.Sifted / xor, "XOR of the bits on one core; two processes, both ends, two cores"},
		{"distill-2pct-key", pair.Key / 1e6, "Mbit/s", pair.Key / pair.Sifted, "the sifted bits"},
	}
	opt.Progress("cascade")
	cascade, err := cascadeRows(ctx, opt, xor)
	if err != nil {
		return nil, err
	}
	opt.Progress("privacy amplification")
	amplify, err := amplifyRow(opt, xor)
	if err != nil {
		return nil, err
	}
	opt.Progress("a 1 GHz link in simulated time")
	live, err := repeat(opt.Runs, func() (float64, error) { return measure.RealtimeBB84(2) })
	if err != nil {
		return nil, err
	}
	return append(append(rows, cascade...), amplify,
		Row{"bb84-45km-realtime", live, "×", live, "the device's own time; one core for both ends"}), nil
}

// pairTime bounds the pair's measurement.
const pairTime = 10 * time.Minute

// repeat takes a figure several times and returns the median.
func repeat(times int, take func() (float64, error)) (float64, error) {
	var all []float64
	for range max(1, times) {
		v, err := take()
		if err != nil {
			return 0, err
		}
		all = append(all, v)
	}
	return median(all), nil
}

// xorRate is the XOR of two arrays of 2²⁴ bits, in bits a second.
func xorRate() float64 {
	a, b := make([]byte, 1<<21), make([]byte, 1<<21)
	var all []float64
	for range rounds {
		all = append(all, 8*rate(len(a), func() { subtle.XORBytes(a, a, b) }))
	}
	return median(all)
}

// distillPair runs Alice here and Bob in a process of his own.
func distillPair(ctx context.Context, opt DistillOptions) (r measure.DistilRounds, err error) {
	dir, err := os.MkdirTemp(opt.Dir, "qsc-bench-")
	if err != nil {
		return r, qsc.E("bench", qsc.Invalid, "", "%w", err)
	}
	defer os.RemoveAll(dir)
	ends, err := measure.FoundDistil(dir)
	if err != nil {
		return r, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, qsc.E("bench", qsc.Busy, "", "%w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return r, qsc.E("bench", qsc.NotFound, "", "%w", err)
	}
	bob := exec.CommandContext(ctx, self, "bench", "distill", "--bob", ends[1], "--channel", l.Addr().String())
	bob.Stderr = os.Stderr
	stop, err := bob.StdinPipe() // Bob ends when it does
	if err != nil {
		return r, qsc.E("bench", qsc.Other, "", "%w", err)
	}
	if err := bob.Start(); err != nil {
		return r, qsc.E("bench", qsc.NotFound, "", "%w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, pairTime)
	defer cancel()
	ended := make(chan error, 1)
	var watch sync.WaitGroup
	watch.Go(func() {
		ended <- bob.Wait()
		cancel() // should Bob end early, Alice does not wait in vain
	})
	r, err = measure.DistilAlice(ctx, ends[0], l, errorRate, opt.Rounds)
	_ = stop.Close()
	watch.Wait()
	if e := <-ended; e != nil {
		err = qsc.E("bench", qsc.Other, "", "the other process: %w", errors.Join(e, err))
	}
	return r, err
}

// DistillBob is the other process of the pair. It ends with its standard input.
func DistillBob(ctx context.Context, dir, addr string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parent sync.WaitGroup
	parent.Go(func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it or is gone
		cancel()
	})
	err := measure.DistilBob(ctx, dir, addr, errorRate)
	if err == nil {
		parent.Wait()
	}
	return err
}

// cascadeRows reconciles in calls of 2²² bits, whose memory the second cache nearly
// holds, and in calls as long as the pair's rounds.
func cascadeRows(ctx context.Context, opt DistillOptions, xor float64) ([]Row, error) {
	rows, err := cascadeRow(ctx, opt, "cascade-2pct", 1<<22, xor)
	if err != nil {
		return nil, err
	}
	long, err := cascadeRow(ctx, opt, "cascade-2pct-long", measure.DistilBlock, xor)
	return append(rows, long...), err
}

func cascadeRow(ctx context.Context, opt DistillOptions, name string, bits int, xor float64) ([]Row, error) {
	f := 0.0
	speed, err := repeat(max(opt.Runs, rounds), func() (float64, error) {
		run, err := measure.Cascade(ctx, bits, errorRate)
		if err == nil && run.Wrong > 0 {
			err = qsc.E("bench", qsc.Corrupt, "", "%d words differ after reconciliation", run.Wrong)
		}
		f = run.F
		return run.PerCore, err
	})
	return []Row{
		{name, speed / 1e6, "Mbit/s", speed / xor, fmt.Sprintf("XOR of the bits; a second of processor time, both ends counted, %d bits a call", bits)},
		{name + "-f", f, "", f, "Shannon's limit"},
	}, err
}

// amplifyRow hashes 2²⁴ bits to half of them, each time under a new seed.
func amplifyRow(opt DistillOptions, xor float64) (Row, error) {
	const n = 1 << 24
	words := func() ([]uint64, error) {
		raw := make([]byte, n/8)
		if _, err := rand.Read(raw); err != nil {
			return nil, err
		}
		out := make([]uint64, n/64)
		for i := range out {
			out[i] = binary.LittleEndian.Uint64(raw[8*i:])
		}
		return out, nil
	}
	seed, err := words()
	if err != nil {
		return Row{}, err
	}
	bits, err := words()
	if err != nil {
		return Row{}, err
	}
	dst := make([]uint64, n/128)
	speed, err := repeat(max(opt.Runs, rounds), func() (float64, error) {
		start := time.Now()
		s, err := toeplitz.NewSeed(seed, n, n/2)
		if err != nil {
			return 0, err
		}
		s.Hash(dst, bits)
		s.Release()
		return n / time.Since(start).Seconds(), nil
	})
	if err != nil {
		return Row{}, fmt.Errorf("privacy amplification: %w", err)
	}
	return Row{"amplify-2p24", speed / 1e6, "Mbit/s", speed / xor, "XOR of the bits; one core, a new seed each time"}, nil
}
