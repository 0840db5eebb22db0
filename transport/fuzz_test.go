package transport

import (
	"reflect"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

func FuzzParseHello(f *testing.F) {
	h := hello{resume: true, received: 7, oldest: 9, kept: true}
	h.marks.Lanes[2] = keymgmt.LaneMarks{Floor: 1, Pos: 2, Next: 3, More: true, Blocks: []keymgmt.Range{{First: 4, Last: 5}}}
	f.Add(h.encode())
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		for _, l := range h.marks.Lanes {
			if len(l.Blocks) > keymgmt.MaxRanges {
				t.Fatal("more ranges than there may be")
			}
		}
		again, err := parseHello(h.encode())
		if err != nil || !reflect.DeepEqual(h, again) {
			t.Fatalf("%+v came back as %+v, %v", h, again, err)
		}
	})
}

func TestHelloFits(t *testing.T) {
	h := hello{}
	for i := range h.marks.Lanes {
		h.marks.Lanes[i].Blocks = make([]keymgmt.Range, keymgmt.MaxRanges)
	}
	if n := len(h.encode()); n != helloSize {
		t.Errorf("the largest hello has %d bytes, a slot takes %d", n, helloSize)
	}
}

// FuzzFeed gives a session the plaintext of a peer gone mad, in two parts.
func FuzzFeed(f *testing.F) {
	good := newSession([16]byte{}, "peer", 0)
	p := newPipe(good, 1)
	good.put(2, chunkOpen, []byte{1, 'h'})
	good.putData(p, make([]byte, 100))
	good.putCredit(1, 50)
	good.put(2, chunkReset, errorRecord(qsc.E("x", qsc.NoSpace, "", "full")))
	var stream []byte
	for _, s := range good.out {
		stream = append(stream, s.b...)
	}
	f.Add(stream, 20)
	f.Add([]byte{0, 0, 0, 1, chunkData, 0xff, 0xff, 0xff}, 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		s := newSession([16]byte{}, "peer", 1)
		s.pipes[2] = newPipe(s, 2)
		cut = min(max(cut, 0), len(b))
		for _, part := range [][]byte{b[:cut], b[cut:]} {
			if _, err := s.feed(part); err != nil {
				return
			}
		}
		for _, p := range s.pipes {
			if p.inBytes > window || p.credit > window {
				t.Fatal("a stream holds more than its window")
			}
		}
		if len(s.pipes) > maxPipes {
			t.Fatal("more streams than there may be")
		}
	})
}

// FuzzHear gives a session the public stream of a peer gone mad, in two parts.
func FuzzHear(f *testing.F) {
	good := newPublic()
	for _, m := range [][]byte{nil, {1, 2, 3}, make([]byte, 5000)} {
		good.put(len(m)+chunkHead, chunkHeader(0, chunkMessage, len(m)))
		good.put(len(m), m)
	}
	good.put(chunkHead, chunkHeader(0, chunkCredit, 4))
	good.put(4, []byte{0, 16, 0, 0})
	var stream []byte
	for _, o := range good.out {
		stream = append(stream, o.buf[outHead:outHead+o.n]...)
	}
	f.Add(stream, 20)
	f.Add(stream[:12], 3)
	f.Add([]byte{0, 0, 0, 0, chunkMessage, 0xff, 0xff, 0xff}, 3)
	f.Add([]byte{0, 0, 0, 1, chunkOpen, 0, 0, 1, 1}, 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		s := newSession([16]byte{}, "peer", 1)
		cut = min(max(cut, 0), len(b))
		for _, part := range [][]byte{b[:cut], b[cut:]} {
			if _, err := s.hear(part); err != nil {
				break
			}
		}
		total := 0
		for m := s.nextMessage(); m != nil; m = s.nextMessage() {
			total += len(m) + envelope
		}
		if total > s.pub.held || s.pub.held > publicWindow || s.pub.credit > publicWindow || len(s.pipes) > 0 {
			t.Fatalf("%d of messages, %d held, credit %d, %d streams", total, s.pub.held, s.pub.credit, len(s.pipes))
		}
	})
}
