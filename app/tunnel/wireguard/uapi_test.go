package wireguard

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/tunneltest"
)

// device answers as a userspace WireGuard with one peer does.
type device struct {
	mu    sync.Mutex
	peer  PeerID
	psk   [32]byte
	errno string // of the next set; "": 0
}

func (d *device) serve(t *testing.T) Device {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "wg.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			d.answer(c)
		}
	})
	t.Cleanup(func() { _ = ln.Close(); serving.Wait() })
	return Device{socket}
}

func (d *device) answer(c net.Conn) {
	defer c.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	var lines []string
	for s := bufio.NewScanner(c); s.Scan() && s.Text() != ""; {
		lines = append(lines, s.Text())
	}
	if lines[0] == "get=1" {
		_, _ = c.Write([]byte("private_key=" + strings.Repeat("ab", 32) + "\nlisten_port=1\npublic_key=" + hex.EncodeToString(d.peer[:]) +
			"\npreshared_key=" + hex.EncodeToString(d.psk[:]) + "\nlast_handshake_time_sec=7\nlast_handshake_time_nsec=5\nerrno=0\n\n"))
		return
	}
	if d.errno == "" && len(lines) == 4 && lines[1] == "public_key="+hex.EncodeToString(d.peer[:]) && lines[2] == "update_only=true" {
		text, _ := strings.CutPrefix(lines[3], "preshared_key=")
		_, _ = hex.Decode(d.psk[:], []byte(text))
	}
	_, _ = c.Write([]byte("errno=" + cmp.Or(d.errno, "0") + "\n\n"))
}

func (d *device) refuse(errno string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errno = errno
}

func (d *device) current() [32]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.psk
}

func TestRotateInMemory(t *testing.T) {
	a, b := &device{peer: PeerID{1}}, &device{peer: PeerID{2}}
	lead, _ := tunneltest.Rig(t, &tunneltest.Keys{},
		&End{Device: a.serve(t), Peer: a.peer}, &End{Device: b.serve(t), Peer: b.peer})
	if err := lead.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := a.current()
	if first != b.current() || first == [32]byte{} {
		t.Fatal("the devices do not agree on a new key")
	}
	a.refuse("-22")
	if err := lead.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "errno -22") {
		t.Fatalf("a device that refuses: %v", err)
	}
	if a.current() != first || b.current() != first {
		t.Error("after a refusal the devices do not have the old key")
	}
	a.refuse("")
	if err := lead.Rotate(t.Context()); err != nil || a.current() != b.current() || a.current() == first {
		t.Errorf("the next rotation: %v", err)
	}
}

func TestUnknownPeer(t *testing.T) {
	d := &device{peer: PeerID{1}}
	e := &End{Device: d.serve(t), Peer: PeerID{9}}
	k := tunnel.Key{ID: qsc.KeyID{1}, Secret: qsc.NewSecret(bytes.Repeat([]byte{7}, 32))}
	if err := e.Stage(t.Context(), k); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("stage: %v", err)
	}
	if err := e.Switch(t.Context(), k.ID); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("switch: %v", err)
	}
	if err := e.Revert(t.Context(), k.ID); err != nil {
		t.Errorf("revert: %v", err)
	}
	if k.Secret.Expose()[0] != 0 {
		t.Error("the key was left in memory")
	}
}

func TestNoDevice(t *testing.T) {
	d := Device{filepath.Join(t.TempDir(), "none.sock")}
	if _, err := d.Peers(t.Context()); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("%v", err)
	}
}

// A device that says nothing is left when the caller's time is up.
func TestSilentDevice(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "wg.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (Device{socket}).Peers(ctx); err == nil {
		t.Error("a silent device was taken for one without peers")
	}
}

func TestParsePeerID(t *testing.T) {
	id := PeerID{1, 2, 3}
	if got, err := ParsePeerID(id.String()); err != nil || got != id {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "AAAA", id.String() + "=", id.String()[1:]} {
		if _, err := ParsePeerID(s); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzPeers(f *testing.F) {
	h := strings.Repeat("0a", 32)
	for _, s := range []string{
		"errno=0\n\n", "public_key=" + h + "\npreshared_key=" + h + "\nlast_handshake_time_sec=1\nerrno=0\n\n",
		"private_key=" + h + "\nlisten_port=5\nerrno=1\n\n", "public_key=1\n", "a\n", "\n", "preshared_key=" + h + "\nerrno=x\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		peers, err := readPeers(bufio.NewReaderSize(bytes.NewReader(in), maxLine))
		if err != nil && len(peers) > 0 {
			t.Error("peers beside an error")
		}
		if err == nil && !bytes.Contains(in, []byte("errno=")) {
			t.Error("an answer without errno was taken")
		}
		for _, p := range peers {
			if p.PSK.Len() != tunnel.KeySize {
				t.Error("a key of another size")
			}
		}
	})
}
