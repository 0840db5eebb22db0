// Package tap holds what the fault tests of real processes share: the tap, a wire
// that shows every frame which passes, can be cut, slowed and shut; and the oracle
// of one-time use, which is told every frame and says when a pad served twice.
//
// It starts no node and plans no fault (sim/crash, sim/keys), and it opens no
// frame: it knows headers and lengths only.
package tap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/ports"
	"github.com/quantum-secure-cloud/qsc/its/otp"
)

// Tap is the wire of one link: end A dials it, it dials end B. It shows every
// frame to the pad oracle, looks for forbidden bytes, and can be cut.
type Tap struct {
	Addr   string // where it listens
	Target string // where end B listens
	link   qsc.LinkID
	pads   *Pads
	prog   *Progress

	wg    sync.WaitGroup
	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	never [][]byte // byte strings that must not pass
	keep  bool     // whether everything that passes is kept
	kept  [][]byte // one for each direction of each connection
	found []string
	delay time.Duration // of everything that passes
}

// New opens the wire of a link whose end B listens at target. Close ends it.
func New(link qsc.LinkID, target string, p *Pads, prog *Progress) (*Tap, error) {
	addr, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	t := &Tap{Addr: addr, Target: target, link: link, pads: p, prog: prog, conns: map[net.Conn]bool{}}
	return t, t.Open()
}

// Close shuts the tap and returns when nothing passes any more.
func (p *Tap) Close() {
	p.Shut()
	p.wg.Wait()
}

// Open listens; Shut stops that and cuts, as the machine behind it that is gone.
func (p *Tap) Open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l != nil {
		return nil
	}
	l, err := net.Listen("tcp", p.Addr)
	if err != nil {
		return err
	}
	p.l = l
	p.wg.Go(func() { p.accept(l) })
	return nil
}

// Shut ends what Open began and cuts.
func (p *Tap) Shut() {
	p.mu.Lock()
	if p.l != nil {
		_ = p.l.Close()
		p.l = nil
	}
	p.mu.Unlock()
	p.Cut()
}

// Cut breaks every connection that there is now.
func (p *Tap) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *Tap) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.Target)
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

func (p *Tap) pass(dst, src net.Conn, s *scanner) {
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
			p.hold()
			p.prog.Add(BytesPassed, int64(n))
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Slow delays everything that passes from now on, in each direction, by d for
// every 64 KiB or less; 0 ends that.
func (p *Tap) Slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

func (p *Tap) hold() {
	p.mu.Lock()
	d := p.delay
	p.mu.Unlock()
	if d > 0 {
		time.Sleep(d) // the latency itself
	}
}

// Forbid adds byte strings that must not pass from now on.
func (p *Tap) Forbid(what ...[]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.never = append(p.never, what...)
}

// Record keeps everything that passes from now on.
func (p *Tap) Record() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep = true
}

// Recorded returns what has passed since record, a slice for each direction of
// each connection.
func (p *Tap) Recorded() (all [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.kept {
		all = append(all, bytes.Clone(b))
	}
	return all
}

// Fault returns the first thing that was found wrong, "" for nothing.
func (p *Tap) Fault() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.found) == 0 {
		return ""
	}
	return fmt.Sprintf("link %s: %s", p.link, p.found[0])
}

// scanner reads one direction of one connection.
type scanner struct {
	tap  *Tap
	up   bool // from end A to end B
	buf  []byte
	tail []byte // the last bytes of what was looked at
	in   bool   // behind the preface
	lost bool   // no frames any more
	kept int    // index in tap.kept, from 1
}

// Longest is the length of the longest forbidden byte string.
const Longest = 64

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
	if n := len(s.tail) - Longest; n > 0 {
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
	s.tap.pads.Note(s.tap.link, h, f)
	s.tap.prog.Add(FramesPassed, 1)
}

// end notes a frame that was cut off, if any of its body has passed.
func (s *scanner) end() {
	if !s.in || s.lost || len(s.buf) <= otp.HeaderSize {
		return
	}
	if h, err := otp.ParseHeader(s.buf); err == nil {
		s.tap.pads.Note(s.tap.link, h, s.buf)
	}
}

func (s *scanner) complain(text string) {
	s.lost = true
	s.tap.mu.Lock()
	defer s.tap.mu.Unlock()
	s.tap.found = append(s.tap.found, text)
}

// given are below those that fleets pick, and held by this process to its end, so that
// a tap or a node that was closed gets its own again.
var given = struct {
	sync.Mutex
	blocks ports.Blocks
	taken  map[string]bool
}{blocks: ports.Blocks{First: 10000}, taken: map[string]bool{}}

// FreeAddress returns a loopback address that is free now; none is given twice.
// Error: Busy.
func FreeAddress() (string, error) {
	given.Lock()
	defer given.Unlock()
	addr, err := given.blocks.Pick(given.taken)
	given.taken[addr] = err == nil
	return addr, err
}
