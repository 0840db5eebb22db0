package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
)

// tap is the wire of one link: end A dials it, it dials end B. It shows every
// frame to the pad oracle, looks for forbidden bytes, and can be cut.
type tap struct {
	link   qsc.LinkID
	addr   string
	target string
	pads   *pads
	prog   *progress

	wg    sync.WaitGroup
	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	never [][]byte // byte strings that must not pass
	keep  bool     // whether everything that passes is kept
	kept  [][]byte // one for each direction of each connection
	found []string
	bytes int64
}

func newTap(t testing.TB, link qsc.LinkID, target string, p *pads, prog *progress) *tap {
	p2 := &tap{link: link, addr: freeAddress(t), target: target, pads: p, prog: prog, conns: map[net.Conn]bool{}}
	if err := p2.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p2.shut(); p2.wg.Wait() })
	return p2
}

// open listens; shut stops that and cuts, as the machine behind it that is gone.
func (p *tap) open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l != nil {
		return nil
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.l = l
	p.wg.Go(func() { p.accept(l) })
	return nil
}

func (p *tap) shut() {
	p.mu.Lock()
	if p.l != nil {
		_ = p.l.Close()
		p.l = nil
	}
	p.mu.Unlock()
	p.cut()
}

// cut breaks every connection that there is now.
func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *tap) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		if p.l != l {
			p.mu.Unlock()
			_, _ = in.Close(), out.Close()
			return
		}
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		p.wg.Go(func() { p.pass(out, in, &scanner{tap: p, up: true}) })
		p.wg.Go(func() { p.pass(in, out, &scanner{tap: p}) })
	}
}

func (p *tap) pass(dst, src net.Conn, s *scanner) {
	defer func() {
		_, _ = dst.Close(), src.Close()
		p.mu.Lock()
		delete(p.conns, dst)
		delete(p.conns, src)
		p.mu.Unlock()
		s.end()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			s.take(buf[:n])
			p.prog.add(bytesPassed, int64(n))
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// forbid adds byte strings that must not pass from now on.
func (p *tap) forbid(what ...[]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.never = append(p.never, what...)
}

func (p *tap) record() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep = true
}

// recorded returns what has passed since record, a slice for each direction of
// each connection.
func (p *tap) recorded() (all [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.kept {
		all = append(all, bytes.Clone(b))
	}
	return all
}

func (p *tap) fault() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.found) == 0 {
		return ""
	}
	return fmt.Sprintf("link %s: %s", p.link, p.found[0])
}

// scanner reads one direction of one connection.
type scanner struct {
	tap  *tap
	up   bool // from end A to end B
	buf  []byte
	tail []byte // the last bytes of what was looked at
	in   bool   // behind the preface
	lost bool   // no frames any more
	kept int    // index in tap.kept, from 1
}

// longest is the length of the longest forbidden byte string.
const longest = 64

func (s *scanner) take(b []byte) {
	s.look(b)
	if s.lost {
		return
	}
	s.buf = append(s.buf, b...)
	for s.step() {
	}
}

// look keeps what passes and searches it for what must not.
func (s *scanner) look(b []byte) {
	p := s.tap
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += int64(len(b))
	if p.keep {
		if s.kept == 0 {
			p.kept = append(p.kept, nil)
			s.kept = len(p.kept)
		}
		p.kept[s.kept-1] = append(p.kept[s.kept-1], b...)
	}
	s.tail = append(s.tail, b...)
	for i, what := range p.never {
		if bytes.Contains(s.tail, what) {
			p.found = append(p.found, fmt.Sprintf("forbidden byte string %d passed the wire", i))
		}
	}
	if n := len(s.tail) - longest; n > 0 {
		s.tail = append(s.tail[:0], s.tail[n:]...)
	}
}

// step takes the preface or one frame off the buffer.
func (s *scanner) step() bool {
	if !s.in {
		n := s.preface()
		if n == 0 || len(s.buf) < n {
			return false
		}
		s.buf, s.in = s.buf[n:], true
		return true
	}
	if len(s.buf) < otp.HeaderSize {
		return false
	}
	h, err := otp.ParseHeader(s.buf)
	if err != nil {
		s.complain("what passes is no frame: " + err.Error())
		return false
	}
	n := otp.Overhead + int(h.Len)
	if len(s.buf) < n {
		return false
	}
	s.frame(h, s.buf[:n])
	s.buf = s.buf[n:]
	return true
}

// preface returns the length of what comes before the first frame, 0 while it
// cannot be told. "QSC1", then the link's name or a byte and a position.
func (s *scanner) preface() int {
	if !s.up {
		return 13
	}
	if len(s.buf) < 6 {
		return 0
	}
	return 6 + int(binary.BigEndian.Uint16(s.buf[4:]))
}

func (s *scanner) frame(h otp.Header, f []byte) {
	if up := h.Lane%2 == 0; up != s.up {
		s.complain(fmt.Sprintf("a frame of lane %d goes the wrong way", h.Lane))
	}
	s.tap.pads.note(s.tap.link, h, f)
	s.tap.prog.add(framesPassed, 1)
}

// end notes a frame that was cut off, if any of its body has passed.
func (s *scanner) end() {
	if !s.in || s.lost || len(s.buf) <= otp.HeaderSize {
		return
	}
	if h, err := otp.ParseHeader(s.buf); err == nil {
		s.tap.pads.note(s.tap.link, h, s.buf)
	}
}

func (s *scanner) complain(text string) {
	s.lost = true
	s.tap.mu.Lock()
	defer s.tap.mu.Unlock()
	s.tap.found = append(s.tap.found, text)
}

// ports are handed out below those of outgoing connections, so that a tap or a
// node that was closed gets its own again.
var ports struct {
	sync.Mutex
	given []string
}

func freeAddress(t testing.TB) string {
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+random(9000))
		if slices.Contains(ports.given, addr) {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err == nil {
			err = l.Close()
		}
		if err == nil {
			ports.given = append(ports.given, addr)
			return addr
		}
	}
	t.Fatal(errors.New("no free port"))
	return ""
}
