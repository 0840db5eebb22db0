package transport

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// memLedger is one end of a link whose key lies in memory: every lane is a
// stream of pad bytes that both ends hold. It keeps the contract's promises on
// order and reuse, but nothing durable.
type memLedger struct {
	end  int
	link qsc.LinkID

	mu    sync.Mutex
	more  chan struct{}
	pads  [keymgmt.Lanes][]byte
	limit [keymgmt.Lanes]int // bytes that may be used so far
	next  [keymgmt.Lanes]uint64
	seen  [keymgmt.Lanes]*otp.Window
	hold  func() // the next Reconcile begins with it
}

var memGuard = []byte("guard of a block")

// memPair makes the two ledgers of a link with n bytes of pad in each data lane.
func memPair(n int) (a, b *memLedger) {
	a, b = newMemLedger(0), newMemLedger(1)
	rnd := rand.NewChaCha8([32]byte{1})
	for lane := range keymgmt.Lanes {
		size := n
		if lane >= int(keymgmt.ControlAB) {
			size = 64 * keymgmt.SlotSize
		}
		key := make([]byte, size)
		_, _ = rnd.Read(key)
		for _, l := range []*memLedger{a, b} {
			l.pads[lane] = append([]byte(nil), key...)
			l.limit[lane] = size
		}
	}
	return a, b
}

func newMemLedger(end int) *memLedger {
	l := &memLedger{end: end, link: "a-b", more: make(chan struct{})}
	for i := range l.seen {
		l.seen[i] = otp.NewWindow(0, 64)
	}
	return l
}

// allow sets how much of a lane's pad there is.
func (l *memLedger) allow(lane otp.Lane, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit[lane] = n
	close(l.more)
	l.more = make(chan struct{})
}

func (l *memLedger) Reserve(ctx context.Context, use keymgmt.Use, least, most int) (otp.Pad, error) {
	lane := keymgmt.SendData(l.end)
	if use == keymgmt.Control {
		lane, least, most = keymgmt.SendControl(l.end), keymgmt.SlotSize, keymgmt.SlotSize
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.limit[lane]-int(l.next[lane]) < least {
		more := l.more
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			l.mu.Lock()
			return otp.Pad{}, qsc.E("mem", qsc.Timeout, "", "%w", ctx.Err())
		case <-more:
		}
		l.mu.Lock()
	}
	pos := l.next[lane]
	n := min(most, l.limit[lane]-int(pos))
	l.next[lane] += uint64(n)
	return otp.NewPad(lane, 0, pos, memGuard, l.pads[lane][pos:pos+uint64(n)], nil), nil
}

func (l *memLedger) View(_ context.Context, h otp.Header) (otp.Pad, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.Lane != keymgmt.RecvData(l.end) && h.Lane != keymgmt.RecvControl(l.end) {
		return otp.Pad{}, qsc.E("mem", qsc.Invalid, "", "lane %d", h.Lane)
	}
	if h.Pos+uint64(h.PadLen()) > uint64(len(l.pads[h.Lane])) {
		return otp.Pad{}, qsc.E("mem", qsc.Exhausted, "", "no such pad")
	}
	if err := l.seen[h.Lane].Check(h.Pos, h.PadLen()); err != nil {
		return otp.Pad{}, err
	}
	return otp.NewPad(h.Lane, 0, h.Pos, memGuard, l.pads[h.Lane][h.Pos:h.Pos+uint64(h.PadLen())], nil), nil
}

func (l *memLedger) Consume(h otp.Header) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.seen[h.Lane].Add(h.Pos, h.PadLen())
	return err
}

func (l *memLedger) Marks() keymgmt.Marks {
	l.mu.Lock()
	defer l.mu.Unlock()
	var m keymgmt.Marks
	for i := range m.Lanes {
		m.Lanes[i].Floor = max(l.next[i], l.seen[i].Floor())
		m.Lanes[i].Pos = m.Lanes[i].Floor
		if otp.Lane(i) == keymgmt.RecvData(l.end) || otp.Lane(i) == keymgmt.RecvControl(l.end) {
			m.Lanes[i].Pos = l.seen[i].Next()
		}
	}
	return m
}

func (l *memLedger) Reconcile(peer keymgmt.Marks) error {
	l.mu.Lock()
	hold := l.hold
	l.hold = nil
	l.mu.Unlock()
	if hold != nil {
		hold()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	send, recv := keymgmt.SendData(l.end), keymgmt.RecvData(l.end)
	l.next[send] = max(l.next[send], peer.Lanes[send].Floor)
	l.seen[recv].Raise(peer.Lanes[recv].Floor)
	return nil
}

func (l *memLedger) Flush(context.Context) error { return nil }
func (l *memLedger) Status() keymgmt.Status      { return keymgmt.Status{Link: l.link, End: l.end} }
func (l *memLedger) Close() error                { return nil }
