package etsi014

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/device/twins/twinstest"
	"github.com/quantum-secure-cloud/qsc/quantum/quantumtest"
)

const block = 2048

// rig is a vendor's system and the two ends' places.
type rig struct {
	*vendor
	fs      durable.FS
	door    *twinstest.Door
	tls     *tls.Config
	clients [2]*etsi014.Client
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{vendor: newVendor(t), door: twinstest.NewDoor(t), fs: durable.Mem(1 << 24)}
	r.tls = &tls.Config{Certificates: []tls.Certificate{r.ca.Leaf(t, "end")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: r.ca.Pool, RootCAs: r.ca.Pool}
	return r
}

func (r *rig) config(t *testing.T, end int) Config {
	t.Helper()
	cfg := Config{Link: "ab", Epoch: 3, Block: block, Peer: "b", Master: end == 0, TLS: r.tls, Dial: r.door.Address}
	if r.clients[end] == nil {
		r.clients[end] = r.client(t, []string{"a", "b"}[end])
	}
	cfg.KME = r.clients[end]
	if end == 1 {
		return cfg
	}
	cfg.FS, cfg.Peer, cfg.Listen = r.fs, "a", r.door.Listen()
	return cfg
}

func (r *rig) open(t *testing.T, end int) *Link {
	t.Helper()
	l, err := Open(r.config(t, end))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestConform(t *testing.T) {
	quantumtest.Conform(t, func(t *testing.T) quantumtest.Pair {
		r := newRig(t)
		return quantumtest.Pair{Link: "ab", Epoch: 3, Block: block, Open: func(t *testing.T, end int) quantum.Link { return r.open(t, end) }}
	})
}

func from(seq uint64) func(uint64) bool { return func(s uint64) bool { return s >= seq } }

func same(t *testing.T, a, b quantum.KeyBlock) {
	t.Helper()
	twinstest.Same(t, a, b, block)
}

// Blocks are the same, and their class says everything that is known.
func TestBothEnds(t *testing.T) {
	r := newRig(t)
	a, b := r.open(t, 0), r.open(t, 1)
	for i := range uint64(5) {
		x := twinstest.Next(t, a, from(i))
		y := twinstest.Next(t, b, from(i))
		same(t, x, y)
		if x.Class != qsc.Computational|qsc.Simulated {
			t.Errorf("class %v", x.Class)
		}
	}
	if st := a.Status(); st.Rate <= 0 || st.Class != qsc.Computational|qsc.Simulated || st.Alarm != "" {
		t.Errorf("%+v", st)
	}
}

// The slave was away, the master restarts: lists are kept.
func TestMasterRestarts(t *testing.T) {
	r := newRig(t)
	a := r.open(t, 0)
	x := twinstest.Next(t, a, twinstest.All)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b := r.open(t, 1)
	a = r.open(t, 0)
	same(t, x, twinstest.Next(t, b, twinstest.All))
	if y := twinstest.Next(t, a, twinstest.All); y.Seq <= x.Seq {
		t.Errorf("block %d comes twice", y.Seq)
	}
}

// At every step that persists, failed or failed but done, with and without a power
// cut: no number is used twice and both ends agree.
func TestFaultMatrix(t *testing.T) {
	r := newRig(t)
	for _, mode := range durable.Modes() {
		for step := int64(1); step <= 28; step++ {
			disk := durable.Mem(1 << 20)
			faulty := durable.Faulty(disk, durable.Plan{Step: (step + 1) / 2, Mode: mode, Crash: step%2 == 0})
			used := r.until(t, faulty)
			if faulty.Steps() < (step+1)/2 {
				t.Fatalf("only %d steps persist", faulty.Steps())
			}
			again := r.until(t, disk.Crashed(rand.New(rand.NewPCG(uint64(step), uint64(mode)))))
			for _, seq := range again {
				if slices.Contains(used, seq) {
					t.Fatalf("step %d, mode %v: block %d twice", step, mode, seq)
				}
			}
		}
	}
}

// until takes three blocks, or as many as come, and returns their numbers.
func (r *rig) until(t *testing.T, fs durable.FS) (used []uint64) {
	t.Helper()
	r.fs = fs
	a, err := Open(r.config(t, 0))
	if err != nil {
		return nil
	}
	defer a.Close()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		b, err := a.Next(ctx, twinstest.All)
		cancel()
		if err != nil {
			return used
		}
		used = append(used, b.Seq)
	}
	return used
}

// A KME without key, then with: the block that was begun is finished, though the
// caller's patience ended.
func TestNoKeyForAWhile(t *testing.T) {
	r := newRig(t)
	r.set(10, false)
	a := r.open(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := a.Next(ctx, twinstest.All); !qsc.IsKind(err, qsc.Timeout) {
		t.Fatal(err)
	}
	twinstest.Alarm(t, a, func(text string) bool { return strings.Contains(text, "no key now") })
	r.set(-1, false)
	b := r.open(t, 1)
	x := twinstest.Next(t, a, twinstest.All)
	same(t, x, twinstest.Next(t, b, twinstest.All))
	if st := a.Status(); st.Alarm != "" {
		t.Errorf("alarm %q", st.Alarm)
	}
}

// A KME that refuses is an error for the caller, costs no number, and is asked
// again at the next call.
func TestRefusal(t *testing.T) {
	r := newRig(t)
	a, b := r.open(t, 0), r.open(t, 1)
	for seq := range uint64(2) {
		r.refuse(true)
		if _, err := a.Next(t.Context(), twinstest.All); !qsc.IsKind(err, qsc.Denied) {
			t.Fatal(err)
		}
		if st := a.Status(); !strings.Contains(st.Alarm, "401") {
			t.Errorf("alarm %q", st.Alarm)
		}
		r.refuse(false)
		x := twinstest.Next(t, a, twinstest.All)
		if same(t, x, twinstest.Next(t, b, twinstest.All)); x.Seq != seq {
			t.Errorf("block %d, not %d", x.Seq, seq)
		}
	}
}

// Keys that the other KME does not have cost their block, and only it.
func TestLostTwins(t *testing.T) {
	r := newRig(t)
	a, b := r.open(t, 0), r.open(t, 1)
	r.set(-1, true)
	twinstest.Next(t, a, twinstest.All)
	r.set(-1, false)
	x := twinstest.Next(t, a, twinstest.All)
	_, err := b.Next(t.Context(), twinstest.All)
	if !qsc.IsKind(err, qsc.NotFound) || !strings.Contains(err.Error(), "block 0 is lost") {
		t.Fatal(err)
	}
	same(t, x, twinstest.Next(t, b, twinstest.All))
}

func TestStrangers(t *testing.T) {
	r := newRig(t)
	a := r.open(t, 0)
	x := twinstest.Next(t, a, twinstest.All)
	other := r.config(t, 1)
	other.Epoch = 4
	b, err := Open(other)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Next(t.Context(), twinstest.All); !qsc.IsKind(err, qsc.Conflict) {
		t.Error("another epoch:", err)
	}
	bare, err := net.Dial("tcp", r.door.Address) // without TLS
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	_ = bare.SetDeadline(time.Now().Add(20 * time.Second)) // before the master's patience ends
	_, _ = bare.Write(bytes.Repeat([]byte{0xff}, 1000))
	var timeout net.Error
	if _, err := io.Copy(io.Discard, bare); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("a stranger is still connected")
	}
	same(t, x, twinstest.Next(t, r.open(t, 1), twinstest.All))
}

func TestEpochs(t *testing.T) {
	r := newRig(t)
	a := r.open(t, 0)
	twinstest.Next(t, a, twinstest.All)
	a.Close()
	cfg := r.config(t, 0)
	cfg.Epoch = 2
	if _, err := Open(cfg); !qsc.IsKind(err, qsc.Conflict) {
		t.Error("an older epoch:", err)
	}
	cfg = r.config(t, 0)
	cfg.Epoch = 4
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	entries, err := r.fs.ReadDir(".")
	for _, e := range entries {
		if err != nil || strings.HasSuffix(e.Name(), ".list") {
			t.Errorf("%s of the old epoch is left, %v", e.Name(), err)
		}
	}
	if x := twinstest.Next(t, b, twinstest.All); x.Seq != 0 || x.Epoch != 4 {
		t.Errorf("block %d of epoch %d", x.Seq, x.Epoch)
	}
}
