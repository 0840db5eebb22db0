package etsi004

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
	"github.com/quantum-secure-cloud/qsc/internal/etsi004/etsi004test"
	"github.com/quantum-secure-cloud/qsc/quantum/device/twins/twinstest"
)

// vendor is a KME of somebody else's make: it knows JSON only, answers a refusal
// with a bare status, and gives each chunk once.
type vendor struct {
	chunk  int
	mu     sync.Mutex
	made   uint32 // chunks that there are
	more   uint32 // as many there are once it is asked for one at or behind moreAt
	moreAt uint32
	given  map[uint32]bool
	asked  []uint32
	opened int
	cut    int // connections to end after so many answers; 0: never
}

func (v *vendor) serve(t *testing.T, ca *etsi004test.CA) string {
	t.Helper()
	cfg := ca.Server(t)
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); v.talk(c) })
		}
	})
	return l.Addr().String()
}

func (v *vendor) talk(c net.Conn) {
	for n := 1; ; n++ {
		head := make([]byte, wire.HeaderSize)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		h, err := wire.ParseHeader(head)
		if err != nil {
			return
		}
		b := make([]byte, h.Length)
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		if _, err := c.Write(v.answer(h.Service, b)); err != nil || n == v.cut {
			return
		}
	}
}

func (v *vendor) answer(s wire.Service, b []byte) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s == wire.OpenRequestType {
		r, _ := wire.ParseOpenRequest(b)
		if r.QoS.Mimetype != wire.JSON {
			r.QoS.Mimetype = wire.JSON
			return wire.AppendOpenResponse(nil, wire.OpenResponse{Status: wire.QoSNotMet, QoS: r.QoS})
		}
		v.opened++
		return wire.AppendOpenResponse(nil, wire.OpenResponse{QoS: r.QoS, ID: r.ID})
	}
	g, _ := wire.ParseGetRequest(b)
	v.asked = append(v.asked, g.Index)
	if g.Index >= v.moreAt {
		v.made = max(v.made, v.more)
	}
	if v.given[g.Index] || g.Index >= v.made {
		return []byte{1, 0, 1, 5, 0, 0, 0, 4, 0, 0, 0, byte(wire.Insufficient)}
	}
	v.given[g.Index] = true
	out := make([]byte, wire.GetOverhead+v.chunk+64)
	copy(out[wire.KeyAt:], bytes.Repeat([]byte{byte(g.Index) + 1}, v.chunk))
	return wire.SealGetResponse(out, g.Index, v.chunk, []byte(`{"age":1,"hops":0}`))
}

func newVendor(made uint32) *vendor {
	return &vendor{chunk: 64, made: made, given: map[uint32]bool{}}
}

func (v *vendor) link(t *testing.T) *Link {
	t.Helper()
	ca := etsi004test.NewCA(t)
	l, err := Open(Config{Link: "a-b", Epoch: 3, Block: int64(v.chunk), Since: time.Unix(1, 0), Addr: v.serve(t, ca), TLS: ca.Client(t, "a"),
		Source: "a", Destination: "b", Stream: [16]byte{1}, Retry: time.Millisecond, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestBlocksOfAVendor(t *testing.T) {
	v := newVendor(10)
	l := v.link(t)
	for i := range uint64(10) {
		b := twinstest.Next(t, l, twinstest.All)
		if b.Seq != i || b.Epoch != 3 || b.Link != "a-b" || b.Class != qsc.Computational || b.Key.Len() != 64 || !b.Key.Equal(qsc.NewSecret(bytes.Repeat([]byte{byte(i) + 1}, 64))) {
			t.Fatalf("block %d of epoch %d, class %v, is not chunk %d", b.Seq, b.Epoch, b.Class, i)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.opened != 1 {
		t.Errorf("opened %d times", v.opened)
	}
}

// What was given before a crash is refused, and so is what is not made yet. The
// link passes over the former and waits for the latter.
func TestRefusedBlocksAreTriedAround(t *testing.T) {
	v := newVendor(100)
	for i := range uint32(90) {
		v.given[i] = true
	}
	l := v.link(t)
	if b := twinstest.Next(t, l, twinstest.All); b.Seq != 90 {
		t.Fatalf("block %d came first", b.Seq)
	}
	for want := uint64(91); want < 100; want++ {
		if b := twinstest.Next(t, l, twinstest.All); b.Seq != want {
			t.Fatalf("block %d, not %d", b.Seq, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.Next(ctx, twinstest.All); !qsc.IsKind(err, qsc.Timeout) {
		t.Fatal(err)
	}
	v.mu.Lock()
	v.made = 102
	v.mu.Unlock()
	seen := map[uint64]bool{}
	for range 2 { // 101 may be under way, and come first
		seen[twinstest.Next(t, l, twinstest.All).Seq] = true
	}
	if !seen[100] || !seen[101] {
		t.Fatalf("blocks %v", seen)
	}
}

// A KME that makes many chunks at once does so between two questions: those refused just
// before are there now, and are not lost.
func TestChunksMadeBetweenTwoQuestions(t *testing.T) {
	v := newVendor(3)
	v.given[1] = true
	v.more, v.moreAt = 20, 10
	l := v.link(t)
	for _, want := range []uint64{0, 2, 10, 3, 4, 5, 6, 7, 8, 9, 11, 12} {
		if b := twinstest.Next(t, l, twinstest.All); b.Seq != want {
			t.Fatalf("block %d, not %d", b.Seq, want)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	asked := 0
	for _, i := range v.asked {
		if i == 1 {
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times for what was given before", asked)
	}
}

func TestUnwantedBlocksStayAtTheKME(t *testing.T) {
	v := newVendor(1000)
	l := v.link(t)
	odd := func(seq uint64) bool { return seq%2 == 1 }
	for i := range uint64(5) {
		if b := twinstest.Next(t, l, odd); b.Seq != 2*i+1 {
			t.Fatalf("block %d", b.Seq)
		}
	}
	for _, want := range []uint64{0, 2, 4, 6, 8, 10} {
		if b := twinstest.Next(t, l, twinstest.All); b.Seq != want {
			t.Fatalf("block %d, not %d", b.Seq, want)
		}
	}
}

// Cut connections lose no block but those under way.
func TestCutConnections(t *testing.T) {
	v := newVendor(30)
	v.cut = 4
	l := v.link(t)
	seen := map[uint64]bool{}
	for len(seen) < 30 {
		b, err := l.Next(t.Context(), twinstest.All)
		if err == nil {
			if seen[b.Seq] {
				t.Fatalf("block %d came twice", b.Seq)
			}
			seen[b.Seq] = true
		} else if !qsc.IsKind(err, qsc.Unreachable) {
			t.Fatal(err)
		}
	}
}

func TestStatusNamesWhatIsWrong(t *testing.T) {
	l, err := Open(Config{Link: "a-b", Block: 64, Since: time.Unix(1, 0), Addr: "127.0.0.1:1", TLS: &tls.Config{}, Stream: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Next(t.Context(), twinstest.All); !qsc.IsKind(err, qsc.Unreachable) {
		t.Fatal(err)
	}
	if st := l.Status(); st.Kind != "etsi004" || st.Alarm == "" || st.Class&qsc.Computational == 0 {
		t.Errorf("%+v", st)
	}
	if _, err := Open(Config{}); !qsc.IsKind(err, qsc.Invalid) {
		t.Error(err)
	}
}

// The plan against a model: whatever is refused or passed, no block is taken
// twice, and all that the KME still has come in the end.
func TestPlan(t *testing.T) {
	given := map[uint64]bool{3: true, 4: true, 70: true}
	p := plan{span: doubtMin}
	var got []uint64
	for len(got) < 97 {
		seq, ok := p.pick(func(s uint64) bool { return s < 100 && (len(got) > 40 || s%3 != 0) })
		switch {
		case !ok:
			t.Fatalf("%d blocks came, then nothing is picked", len(got))
		case given[seq]:
			p.refused(seq, seq)
			if seq == 70 {
				p.jump(71)
			}
		default:
			given[seq] = true
			got = append(got, seq)
			p.got(seq)
		}
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 97 {
		t.Error("a block came twice")
	}
	p = plan{span: doubtMin}
	p.refused(5, 1<<40)
	if _, ok := p.pick(twinstest.All); ok {
		t.Error("a block beyond the wire's index is asked for")
	}
	for range 5000 {
		p.held = append(p.held, uint64(len(p.held)))
	}
	p = plan{held: p.held[:5000], next: 6000, span: doubtMin}
	p.pick(func(s uint64) bool { return s >= 6005 })
	if len(p.held) > heldMax {
		t.Errorf("%d blocks are remembered", len(p.held))
	}
}
