package keymgmttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

func laneID(i int) otp.Lane { return otp.Lane(i) }

// Model runs random schedules on two ends: key comes, frames are sealed, lost,
// repeated, reordered and opened, steps fail, ends crash at any persisting step
// and come back, marks are reconciled. It checks all the while that no byte of
// pad is handed out or consumed twice, that every frame opens with the true
// key, that the books balance, and that used key is gone from the disk.
//
// The seeds are fixed; QSC_LONG=1 runs many more.
func Model(t *testing.T, open Opener) {
	seeds := 20
	if os.Getenv("QSC_LONG") != "" {
		seeds = 3000
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			m := newModel(t, open, uint64(seed))
			for range 150 {
				m.step()
			}
			m.finish()
		})
	}
}

// end is one end of the link.
type end struct {
	disk   *durable.Disk
	faults *durable.Faults
	stock  *Stock
	ledger keymgmt.Ledger
	sent   []stretch // ever reserved, by lane
	got    []stretch // ever consumed
}

type stretch struct {
	lane     int
	from, to uint64
}

type frame struct {
	stretch
	data   []byte
	opened bool
}

type model struct {
	t       *testing.T
	r       *rand.Rand
	open    Opener
	end     [2]*end
	next    uint64          // seq of the next block
	wire    []*frame        // sent and not yet opened
	past    []*frame        // opened, or of a session that is over
	used    [2]bitmap       // by end: bytes reserved
	spent   [2]bitmap       // by end: bytes consumed
	calm    bool            // no faults but the planned one
	planned [2]durable.Plan // of the next start
}

// bitmap says which positions of which lane were used.
type bitmap map[stretchKey]bool

type stretchKey struct {
	lane int
	pos  uint64
}

// add marks a stretch and reports false if any of it was marked before.
func (b bitmap) add(s stretch) bool {
	fresh := true
	for p := s.from; p < s.to; p++ {
		k := stretchKey{s.lane, p}
		fresh = fresh && !b[k]
		b[k] = true
	}
	return fresh
}

func newModel(t *testing.T, open Opener, seed uint64) *model {
	m := &model{t: t, r: rand.New(rand.NewPCG(seed, 7)), open: open}
	m.begin()
	return m
}

// begin makes both ends.
func (m *model) begin() {
	for i := range m.end {
		m.used[i], m.spent[i] = bitmap{}, bitmap{}
		m.end[i] = &end{disk: durable.Mem(1 << 22), stock: &Stock{Link: link, Epoch: 1, Block: blockSize}}
		m.start(i)
	}
	m.produce()
}

// start opens end i, crashing it on the way now and then.
func (m *model) start(i int) {
	e := m.end[i]
	for try := 0; ; try++ {
		e.faults = durable.Faulty(e.disk, m.planned[i])
		m.planned[i] = durable.Plan{}
		if !m.calm && try < 2 && m.r.IntN(4) == 0 {
			e.faults.Arm(m.plan(20, true))
		}
		l, err := m.open(Setup{FS: e.faults, Link: link, End: i, Epoch: 1, Block: blockSize, Pad: 6 * blockSize, Source: e.stock})
		if err == nil {
			e.ledger = l
			return
		}
		if !m.injected(i, err) {
			m.t.Fatalf("end %d does not open: %v", i, err)
		}
		if e.faults.Crashed() {
			e.disk = e.disk.Crashed(m.r)
		}
	}
}

func (m *model) plan(within int64, crash bool) durable.Plan {
	modes := durable.Modes()
	return durable.Plan{Step: 1 + m.r.Int64N(within), Mode: modes[m.r.IntN(len(modes))], Crash: crash}
}

func (m *model) step() {
	i := m.r.IntN(2)
	switch k := m.r.IntN(100); {
	case k < 8:
		m.produce()
	case k < 45:
		m.send(i)
	case k < 75:
		m.deliver()
	case k < 78:
		m.lose()
	case k < 82:
		m.replay()
	case k < 86:
		m.reconnect(m.r.IntN(2) == 0)
	case k < 90:
		m.end[i].faults.Arm(m.plan(12, false))
	case k < 94:
		m.end[i].faults.Arm(m.plan(12, true))
	case k < 96:
		m.restart(i, true)
	case k < 98:
		m.restart(i, false)
	default:
		m.flush(i)
	}
	for i, e := range m.end {
		if e.faults.Crashed() {
			m.restart(i, true)
		}
		m.balanced(i)
	}
}

// produce gives both ends blocks; sometimes one of them misses some.
func (m *model) produce() {
	for range 1 + m.r.IntN(6) {
		seq := m.next
		m.next++
		if m.next%16 == 4 {
			m.next += 252 - m.next%256 // keep control blocks frequent
			m.next += 4
		}
		who := m.r.IntN(20)
		for i, e := range m.end {
			if who != i {
				e.stock.Add(seq)
			}
		}
	}
}

// injected reports whether err comes from a fault we planned.
func (m *model) injected(i int, err error) bool {
	return errors.Is(err, durable.ErrInjected) || qsc.IsKind(err, qsc.NoSpace) || m.end[i].faults.Crashed()
}

func (m *model) send(i int) {
	lo := 33 + m.r.IntN(600)
	pad, err := m.end[i].ledger.Reserve(m.brief(), keymgmt.Data, lo, lo+m.r.IntN(2000))
	if err != nil {
		if !qsc.IsKind(err, qsc.Exhausted) && !qsc.IsKind(err, qsc.Timeout) && !m.injected(i, err) {
			m.t.Fatalf("reserve at end %d: %v", i, err)
		}
		return
	}
	if pad.Len() < lo {
		m.t.Fatalf("asked for %d bytes and got %d", lo, pad.Len())
	}
	if m.r.IntN(30) == 0 {
		must(m.t, m.claim(i, &pad))
		must(m.t, pad.Burn())
		return
	}
	if f := m.seal(i, pad); f != nil && len(m.wire) < 40 {
		m.wire = append(m.wire, f)
	}
}

// claim checks that the bytes of pad were never handed out before.
func (m *model) claim(i int, pad *otp.Pad) error {
	s := stretch{int(pad.Lane()), pad.Pos(), pad.Pos() + uint64(pad.Len())}
	if !m.used[i].add(s) {
		return fmt.Errorf("end %d hands out bytes of %d+%d of lane %d twice", i, s.from, pad.Len(), s.lane)
	}
	m.end[i].sent = append(m.end[i].sent, s)
	return nil
}

// seal makes a frame of zeros, whose body shows the key.
func (m *model) seal(i int, pad otp.Pad) *frame {
	must(m.t, m.claim(i, &pad))
	s := stretch{int(pad.Lane()), pad.Pos(), pad.Pos() + uint64(pad.Len())}
	n := pad.Len() - otp.KeyOverhead
	f := &frame{stretch: s, data: make([]byte, n+otp.Overhead)}
	must(m.t, otp.Seal(f.data, &pad, make([]byte, n)))
	if !bytes.Equal(f.data[otp.HeaderSize:otp.HeaderSize+n], truth(s.lane, s.from, s.to)[otp.KeyOverhead:]) {
		m.t.Fatalf("end %d sends %d+%d of lane %d under bytes that are not its key", i, s.from, s.to-s.from, s.lane)
	}
	return f
}

func (m *model) deliver() {
	if len(m.wire) == 0 {
		return
	}
	at := 0
	if m.r.IntN(4) == 0 {
		at = m.r.IntN(len(m.wire))
	}
	f := m.wire[at]
	m.wire = append(m.wire[:at], m.wire[at+1:]...)
	m.past = append(m.past, f)
	m.receive(f)
}

func (m *model) lose() {
	if len(m.wire) > 0 {
		m.past = append(m.past, m.wire[0])
		m.wire = m.wire[1:]
	}
}

// replay offers an old frame again, as a wiretapper would.
func (m *model) replay() {
	if len(m.past) > 0 {
		m.receive(m.past[m.r.IntN(len(m.past))])
	}
}

// receive opens a frame as a transport does.
func (m *model) receive(f *frame) {
	i := 1 - f.lane%2
	l := m.end[i].ledger
	h, err := otp.ParseHeader(f.data)
	must(m.t, err)
	pad, err := l.View(context.Background(), h)
	if err != nil {
		m.refused(i, err)
		return
	}
	must(m.t, otp.Verify(&pad, f.data))
	if err := l.Consume(h); err != nil {
		m.refused(i, err)
		return
	}
	if f.opened || !m.spent[i].add(f.stretch) {
		m.t.Fatalf("end %d consumes %d+%d of lane %d twice", i, f.from, f.to-f.from, f.lane)
	}
	f.opened = true
	m.end[i].got = append(m.end[i].got, f.stretch)
	body := make([]byte, len(f.data))
	n, err := otp.Decrypt(body, &pad, f.data)
	must(m.t, err)
	if bytes.Count(body[:n], []byte{0}) != n {
		m.t.Fatalf("end %d decrypts with bytes that are not the key", i)
	}
}

func (m *model) refused(i int, err error) {
	if !qsc.IsKind(err, qsc.Conflict) && !qsc.IsKind(err, qsc.Exhausted) && !m.injected(i, err) {
		m.t.Fatalf("end %d refuses a frame: %v", i, err)
	}
}
