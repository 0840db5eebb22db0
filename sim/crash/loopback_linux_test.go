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

// sniff starts a capture of TCP on the loopback device. It needs CAP_NET_RAW.
func sniff(ports map[uint16]bool) (*sniffer, error) {
	const everything = 0x0300 // ETH_P_ALL in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, everything)
	if err != nil {
		return nil, err
	}
	lo, err := net.InterfaceByName("lo")
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: lo.Index})
	}
	if err == nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) // a smaller one loses packets
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000})
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	s := &sniffer{fd: fd, ports: ports, streams: map[[2]uint16][]byte{}}
	s.wg.Go(s.run)
	return s, nil
}

func (s *sniffer) run() {
	buf := make([]byte, 128<<10)
	for {
		n, from, err := unix.Recvfrom(s.fd, buf, 0)
		s.mu.Lock()
		if s.over {
			s.mu.Unlock()
			return
		}
		// On this device every packet comes by twice, on its way out and in.
		if ll, ok := from.(*unix.SockaddrLinklayer); err == nil && ok && ll.Pkttype != unix.PACKET_OUTGOING {
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
