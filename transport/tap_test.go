package transport

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc/its/otp"
)

// tap is a wire between two nodes that keeps a copy of what passes, can be cut,
// and can change what passes.
type tap struct {
	t *testing.T
	l net.Listener

	mu      sync.Mutex
	target  string
	streams []*bytes.Buffer // one for each direction of each connection
	conns   []net.Conn
	twist   func([]byte) // applied to what passes from the dialler
}

func newTap(t *testing.T, target string) *tap {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{t: t, l: l, target: target}
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(&wg) })
	t.Cleanup(func() { _ = l.Close(); p.cut(); wg.Wait() })
	return p
}

func (p *tap) accept(wg *sync.WaitGroup) {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		out, err := net.Dial("tcp", target)
		if err != nil {
			_ = in.Close()
			continue
		}
		up, down := &bytes.Buffer{}, &bytes.Buffer{}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.streams = append(p.streams, up, down)
		p.mu.Unlock()
		wg.Go(func() { p.pass(out, in, up, true) })
		wg.Go(func() { p.pass(in, out, down, false) })
	}
}

func (p *tap) pass(dst, src net.Conn, copy *bytes.Buffer, up bool) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		p.mu.Lock()
		if up && p.twist != nil {
			p.twist(buf[:n])
		}
		copy.Write(buf[:n])
		p.mu.Unlock()
		if _, werr := dst.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// lead makes new connections end elsewhere.
func (p *tap) lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// cut breaks every connection that there is now.
func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *tap) volume() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.streams {
		n += s.Len()
	}
	return n
}

// contains reports whether a byte string passed, in any one direction.
func (p *tap) contains(what []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.streams {
		if bytes.Contains(s.Bytes(), what) {
			return true
		}
	}
	return false
}

// checkPads is the oracle of one-time use: any two frames that passed under
// overlapping pads of a lane are the same bytes.
func (p *tap) checkPads() (frames, again int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := map[otp.Lane]map[uint64][]byte{}
	for _, s := range p.streams {
		for _, f := range framesOf(s.Bytes()) {
			h, _ := otp.ParseHeader(f)
			if seen[h.Lane] == nil {
				seen[h.Lane] = map[uint64][]byte{}
			}
			if old, ok := seen[h.Lane][h.Pos]; ok {
				if !bytes.Equal(old, f) {
					p.t.Fatalf("two frames under the pad of lane %d at %d", h.Lane, h.Pos)
				}
				again++
				continue
			}
			seen[h.Lane][h.Pos] = f
			frames++
		}
	}
	for lane, at := range seen {
		checkDisjoint(p.t, lane, at)
	}
	return frames, again
}

func checkDisjoint(t *testing.T, lane otp.Lane, at map[uint64][]byte) {
	t.Helper()
	used := map[uint64]bool{} // in steps of 16 bytes: every pad is longer
	for pos, f := range at {
		h, _ := otp.ParseHeader(f)
		for i := pos / 16; i < (pos+uint64(h.PadLen()))/16; i++ {
			if used[i] {
				t.Fatalf("pad bytes of lane %d near %d served two frames", lane, i*16)
			}
			used[i] = true
		}
	}
}

// framesOf returns the whole frames of one direction, behind its preface.
func framesOf(b []byte) (all [][]byte) {
	i := bytes.Index(b, []byte("QF\x01"))
	if i < 0 {
		return nil
	}
	r := bytes.NewReader(b[i:])
	for {
		buf := make([]byte, otp.Overhead+otp.MaxBody)
		f, err := readFrame(r, buf)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return all
		}
		if err != nil {
			return all
		}
		all = append(all, append([]byte(nil), f...))
	}
}
