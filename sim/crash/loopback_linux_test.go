package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// sniffer reads whole packets off the loopback device.
type sniffer struct {
	fd    int
	ports map[uint16]bool
	wg    sync.WaitGroup

	mu      sync.Mutex
	streams map[[2]uint16][]byte // what passed, by ports, in order of arrival
	total   int
	over    bool
}

// captured is how much the system may hold for the sniffer: more than the test sends,
// so that nothing is lost however late it is read.
const captured = 64 << 20

// sniff starts a capture of TCP on the loopback device. It needs CAP_NET_RAW, and
// CAP_NET_ADMIN for so much memory.
func sniff(ports map[uint16]bool) (*sniffer, error) {
	const everything = 0x0300                                                  // ETH_P_ALL in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // deaf until it is bound
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captured),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1), // every packet comes by twice, on its way out and in
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, only(ports)),
	)
	lo, lerr := net.InterfaceByName("lo")
	if err = errors.Join(err, lerr); err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: lo.Index})
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	s := &sniffer{fd: fd, ports: ports, streams: map[[2]uint16][]byte{}}
	s.wg.Go(s.run)
	return s, nil
}

// only is a filter that lets TCP over IPv4 from or to these ports pass: other tests may
// send much on this device.
func only(ports map[uint16]bool) *unix.SockFprog {
	const ethernet, accept = 14, 1 << 18
	load := func(code uint16, at uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: at} }
	equal := func(value uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(yes), Jf: uint8(no), K: value}
	}
	left := 2 * (len(ports) + 1) // instructions up to the refusal, which stands before the acceptance
	f := []unix.SockFilter{
		load(unix.BPF_LD|unix.BPF_H|unix.BPF_ABS, 12), equal(unix.ETH_P_IP, 0, left+3),
		load(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, ethernet+9), equal(unix.IPPROTO_TCP, 0, left+1),
		load(unix.BPF_LDX|unix.BPF_B|unix.BPF_MSH, ethernet),
	}
	for at := range uint32(2) { // source, destination
		f = append(f, load(unix.BPF_LD|unix.BPF_H|unix.BPF_IND, ethernet+2*at))
		left--
		for p := range ports {
			f = append(f, equal(uint32(p), left, 0))
			left--
		}
	}
	f = append(f, load(unix.BPF_RET|unix.BPF_K, 0), load(unix.BPF_RET|unix.BPF_K, accept))
	return &unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
}

func (s *sniffer) run() {
	buf := make([]byte, 128<<10)
	for {
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		s.mu.Lock()
		if s.over {
			s.mu.Unlock()
			return
		}
		if err == nil {
			s.packet(buf[:n])
		}
		s.mu.Unlock()
	}
}

// packet takes the payload of a TCP segment between our ports.
func (s *sniffer) packet(b []byte) {
	const ethernet = 14
	if len(b) < ethernet+20 || b[ethernet]>>4 != 4 || b[ethernet+9] != unix.IPPROTO_TCP {
		return
	}
	ip := b[ethernet:]
	tcp := ip[int(ip[0]&15)*4:]
	if len(tcp) < 20 {
		return
	}
	k := [2]uint16{binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:])}
	head := int(tcp[12]>>4) * 4
	if !s.ports[k[0]] && !s.ports[k[1]] || len(tcp) < head {
		return
	}
	s.streams[k] = append(s.streams[k], tcp[head:]...)
	s.total += len(tcp) - head
}

func (s *sniffer) seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

func (s *sniffer) close() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.wg.Wait()
	_ = unix.Close(s.fd)
}

// The same as TestWireShowsNothing, seen by the system's own capture.
func TestLoopbackCaptureShowsNothing(t *testing.T) {
	n := open(t, preshared)
	ports := map[uint16]bool{}
	for _, p := range n.Taps {
		for _, addr := range []string{p.Addr, p.Target} {
			_, port, _ := net.SplitHostPort(addr)
			number, _ := strconv.ParseUint(port, 10, 16)
			ports[uint16(number)] = true
		}
	}
	s, err := sniff(ports)
	if err != nil {
		t.Skipf("skipped: packets of the loopback device cannot be read (%v; root can): TestWireShowsNothing looks at the same traffic through taps", err)
	}
	data := content(2, 1<<20)
	const name = "ward-7/patient-genome.cram"
	n.life(name, data)
	n.Until("the captured put and get", func() bool { return s.seen() > 10*len(data)*9/10 }) // 5 shares, before and behind the taps
	s.close()
	for k, b := range s.streams {
		for i, what := range forbidden(name) {
			if bytes.Contains(b, what) {
				t.Errorf("forbidden byte string %d passed between ports %d and %d", i, k[0], k[1])
			}
		}
	}
}
