package keymgmttest

import (
	"context"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Conform runs the conformance kit on a room.
func Conform(t *testing.T, open Opener) {
	parts := []struct {
		name string
		run  func(*testing.T, *pair)
	}{
		{"replay", replay}, {"order", order}, {"header", badHeaders}, {"exhausted", exhausted}, {"waits", waits},
		{"exact", exact}, {"epochs", epochs}, {"backup", backup}, {"holes", holes}, {"late", late}, {"impossible", impossible},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, newPair(t, open)) })
	}
}

// pair is two ends on good disks.
type pair struct {
	open  Opener
	disk  [2]*durable.Disk
	stock [2]*Stock
	end   [2]keymgmt.Ledger
}

func newPair(t *testing.T, open Opener) *pair {
	p := &pair{open: open}
	for i := range p.end {
		p.disk[i] = durable.Mem(1 << 22)
		p.stock[i] = &Stock{Link: link, Epoch: 1, Block: blockSize}
		p.start(t, i)
	}
	t.Cleanup(func() {
		for _, l := range p.end {
			must(t, l.Close())
		}
	})
	return p
}

func (p *pair) start(t *testing.T, i int) {
	t.Helper()
	l, err := p.open(Setup{FS: p.disk[i], Link: link, End: i, Epoch: 1, Block: blockSize, Pad: 6 * blockSize, Source: p.stock[i]})
	must(t, err)
	p.end[i] = l
}

func (p *pair) add(seqs ...uint64) {
	p.stock[0].Add(seqs...)
	p.stock[1].Add(seqs...)
}

// soon repeats until done says so; a slow machine may take its time.
func soon(done func() bool) bool {
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// reserve retries while the source has not been asked again.
func (p *pair) reserve(t *testing.T, i int, use keymgmt.Use, n int) otp.Pad {
	t.Helper()
	var pad otp.Pad
	var err error
	if !soon(func() bool { // until the room has asked the stock again
		pad, err = p.end[i].Reserve(t.Context(), use, n, n)
		return !qsc.IsKind(err, qsc.Exhausted)
	}) {
		t.Fatal("key that was provisioned never arrived")
	}
	must(t, err)
	return pad
}

// frame seals n bytes at end i.
func (p *pair) frame(t *testing.T, i, n int) []byte {
	t.Helper()
	pad := p.reserve(t, i, keymgmt.Data, n+otp.KeyOverhead)
	f := make([]byte, n+otp.Overhead)
	must(t, otp.Seal(f, &pad, make([]byte, n)))
	return f
}

// receive opens a frame at end i.
func (p *pair) receive(i int, f []byte) error {
	h, err := otp.ParseHeader(f)
	if err != nil {
		return err
	}
	pad, err := p.end[i].View(context.Background(), h)
	if err != nil {
		return err
	}
	if err := otp.Verify(&pad, f); err != nil {
		return err
	}
	if err := p.end[i].Consume(h); err != nil {
		return err
	}
	_, err = otp.Decrypt(make([]byte, len(f)), &pad, f)
	return err
}

// opens receives a frame whose block may still be on its way.
func (p *pair) opens(t *testing.T, i int, f []byte) {
	t.Helper()
	var err error
	if !soon(func() bool { err = p.receive(i, f); return !qsc.IsKind(err, qsc.Exhausted) }) {
		t.Fatal("a block that was provisioned never arrived")
	}
	must(t, err)
}

// meet reconciles both ends.
func (p *pair) meet(t *testing.T) {
	t.Helper()
	a, b := p.end[0].Marks(), p.end[1].Marks()
	must(t, p.end[0].Reconcile(b))
	must(t, p.end[1].Reconcile(a))
}

func replay(t *testing.T, p *pair) {
	p.add(2, 4)
	f := p.frame(t, 0, 100)
	bad := append([]byte(nil), f...)
	bad[len(bad)-1] ^= 1
	p.await(t, 1, 2)
	want(t, p.receive(1, bad), qsc.Tampered)
	p.opens(t, 1, f) // the tampered one spent nothing
	want(t, p.receive(1, f), qsc.Conflict)
	must(t, p.end[1].Close())
	p.start(t, 1)
	want(t, p.receive(1, f), qsc.Conflict)
}

func order(t *testing.T, p *pair) {
	p.add(2, 4)
	a, b, c := p.frame(t, 0, 100), p.frame(t, 0, 30), p.frame(t, 0, 300)
	p.opens(t, 1, c)
	p.opens(t, 1, a)
	want(t, p.receive(1, c), qsc.Conflict)
	p.opens(t, 1, b)
	if s := p.end[1].Status().Lanes[keymgmt.DataAB]; s.Used != 430+3*otp.KeyOverhead {
		t.Fatalf("book of the receiver: %+v", s)
	}
	p.meet(t)
	if a, b := p.end[0].Marks().Lanes[0].Floor, p.end[1].Marks().Lanes[0].Floor; a != b {
		t.Fatalf("floors %d and %d", a, b)
	}
}

func badHeaders(t *testing.T, p *pair) {
	p.add(2, 4)
	f := p.frame(t, 0, 100)
	good, err := otp.ParseHeader(f)
	must(t, err)
	for name, change := range map[string]func(h *otp.Header){
		"own lane":     func(h *otp.Header) { h.Lane = keymgmt.DataBA },
		"no lane":      func(h *otp.Header) { h.Lane = 200 },
		"epoch":        func(h *otp.Header) { h.Epoch = 9 },
		"unaligned":    func(h *otp.Header) { h.Pos++ },
		"far":          func(h *otp.Header) { h.Pos = 1 << 63 },
		"over the end": func(h *otp.Header) { h.Pos, h.Len = 6*padSize-160, 1000 },
		"too long":     func(h *otp.Header) { h.Len = otp.MaxBody },
		"half a slot":  func(h *otp.Header) { h.Lane, h.Pos, h.Len = keymgmt.ControlAB, 512, keymgmt.SlotSize-otp.KeyOverhead },
		"short slot":   func(h *otp.Header) { h.Lane, h.Pos, h.Len = keymgmt.ControlAB, 0, 100 },
	} {
		h := good
		change(&h)
		_, err := p.end[1].View(t.Context(), h)
		if !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
		want(t, p.end[1].Consume(h), qsc.Invalid)
	}
	far := good
	far.Pos = 4 * padSize
	_, err = p.end[1].View(t.Context(), far)
	want(t, err, qsc.Exhausted)
	for _, r := range [][2]int{{0, 1}, {2, 1}, {int(padSize) + 1, int(padSize) + 1}} {
		_, err := p.end[0].Reserve(t.Context(), keymgmt.Data, r[0], r[1])
		want(t, err, qsc.Invalid)
	}
}

func exhausted(t *testing.T, p *pair) {
	p.add(2)
	p.frame(t, 0, int(padSize)-otp.KeyOverhead)
	_, err := p.end[0].Reserve(t.Context(), keymgmt.Data, 1, 100)
	want(t, err, qsc.Exhausted)
	p.add(4)
	p.frame(t, 0, 1000) // the courier came
	must(t, p.end[0].Flush(t.Context()))
	if s := p.end[0].Status().Lanes[0]; s.Erased != s.Used+s.Burnt || s.Used != int64(padSize)+1032 {
		t.Fatalf("%+v", s)
	}
}

// waits: a live source makes Reserve wait, and Status says so.
func waits(t *testing.T, p *pair) {
	live := &slow{Stock: p.stock[0], gate: make(chan struct{})}
	must(t, p.end[0].Close())
	l, err := p.open(Setup{FS: p.disk[0], Link: link, End: 0, Epoch: 1, Block: blockSize, Pad: 6 * blockSize, Source: live})
	must(t, err)
	p.end[0] = l
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	_, err = l.Reserve(ctx, keymgmt.Data, 100, 100)
	want(t, err, qsc.Timeout)
	p.add(2)
	time.AfterFunc(5*time.Millisecond, func() { close(live.gate) })
	pad, err := l.Reserve(t.Context(), keymgmt.Data, 100, 100)
	must(t, err)
	must(t, pad.Burn())
}

// exact: an orderly Close burns nothing of what was reserved in order.
func exact(t *testing.T, p *pair) {
	p.add(2, 3, 4, 5)
	p.opens(t, 1, p.frame(t, 0, 500))
	for i := range p.end {
		before := p.end[i].Status().Lanes
		must(t, p.end[i].Close())
		p.start(t, i)
		after := p.end[i].Status().Lanes
		for lane := range after {
			if before[lane].Burnt != after[lane].Burnt || before[lane].Used != after[lane].Used {
				t.Fatalf("end %d: %+v became %+v", i, before[lane], after[lane])
			}
		}
	}
	p.meet(t)
	p.opens(t, 1, p.frame(t, 0, 500))
}

func epochs(t *testing.T, p *pair) {
	m := p.end[1].Marks()
	m.Epoch++
	want(t, p.end[0].Reconcile(m), qsc.Conflict)
}

// backup: an end that comes back with an old copy of its directory is found out.
func backup(t *testing.T, p *pair) {
	p.add(0, 1, 2, 4)
	p.opens(t, 1, p.frame(t, 0, 100))
	slot := p.reserve(t, 0, keymgmt.Control, 1)
	must(t, slot.Burn())
	must(t, p.end[0].Close())
	old := p.disk[0].Crashed(nil)
	p.start(t, 0)
	p.opens(t, 1, p.frame(t, 0, 200))
	must(t, p.end[0].Close())
	p.disk[0] = old
	p.start(t, 0)
	want(t, p.end[1].Reconcile(p.end[0].Marks()), qsc.Conflict)
}

// holes: blocks that one end never got are burnt at the other.
func holes(t *testing.T, p *pair) {
	p.stock[0].Add(2, 4, 6, 8)
	p.stock[1].Add(2, 6, 8)
	p.opens(t, 1, p.frame(t, 0, 100))
	p.await(t, 0, 4)
	p.await(t, 1, 3)
	p.meet(t)
	if b := p.end[0].Status().Lanes[0].Burnt; b < int64(padSize) {
		t.Fatalf("%d bytes burnt, the missing block has %d", b, padSize)
	}
	for range 3 {
		p.opens(t, 1, p.frame(t, 0, 3000))
	}
}

// await waits until n blocks of lane 0 are at end i.
func (p *pair) await(t *testing.T, i, n int) {
	t.Helper()
	if !soon(func() bool { return p.end[i].Status().Lanes[0].Produced == int64(n)*int64(padSize) }) {
		t.Fatalf("%d blocks never arrived", n)
	}
}

// late: a frame may outrun the receiver's copy of its block.
func late(t *testing.T, p *pair) {
	p.stock[0].Add(2)
	f := p.frame(t, 0, 100)
	want(t, p.receive(1, f), qsc.Exhausted)
	p.stock[1].Add(2)
	p.await(t, 1, 1)
	p.opens(t, 1, f)
}

func impossible(t *testing.T, p *pair) {
	for name, m := range map[string]keymgmt.LaneMarks{
		"order": {Next: 9, Blocks: []keymgmt.Range{{First: 5, Last: 6}, {First: 6, Last: 7}}},
		"end":   {Next: 9, Blocks: []keymgmt.Range{{First: 5, Last: 4}}},
		"floor": {Floor: 1 << 63, Pos: 1 << 63},
		"align": {Floor: 8, Pos: 8},
		"many":  {Blocks: make([]keymgmt.Range, keymgmt.MaxRanges+1)},
		"next":  {Next: 1<<64 - 1},
	} {
		peer := keymgmt.Marks{Epoch: 1}
		peer.Lanes[1] = m
		if err := p.end[0].Reconcile(peer); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// slow is a live source: it delivers only once its gate is open.
type slow struct {
	*Stock
	gate chan struct{}
}
