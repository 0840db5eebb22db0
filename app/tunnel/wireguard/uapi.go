// Package wireguard changes the pre-shared key of a WireGuard peer through the
// cross-platform userspace control protocol: the Unix socket NAME.sock that
// wireguard-go and its kin listen on.
//
// It does not speak to the kernel's own WireGuard (netlink), makes no interface
// and no peer, and cannot make a handshake happen: the protocol has no request
// for one. A session that exists goes on under its old keys; the new pre-shared
// key takes part from the next handshake, which WireGuard makes about every two
// minutes of traffic.
package wireguard

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
)

// SocketDir is where the userspace programs keep their sockets.
const SocketDir = "/var/run/wireguard"

// Bounds of an answer of the device.
const (
	maxLine  = 1024    // bytes
	maxPeers = 1 << 16 //
	maxLines = 1 << 20 //
)

// PeerID is a peer's public key.
type PeerID [32]byte

// ParsePeerID reads a public key as wg prints it: 44 characters of base64.
func ParsePeerID(s string) (id PeerID, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, qsc.E("wireguard.ParsePeerID", qsc.Invalid, "", "a peer is named by its public key, 44 characters of base64, as `wg show` prints it")
	}
	return PeerID(b), nil
}

// String returns the public key in base64.
func (id PeerID) String() string { return base64.StdEncoding.EncodeToString(id[:]) }

// Peer is what a device tells of a peer.
type Peer struct {
	ID        PeerID
	PSK       qsc.Secret // 32 bytes; all zero: none
	Handshake time.Time  // of the last handshake; zero: none yet
}

// Device is a running userspace WireGuard device.
type Device struct{ Socket string }

// Named returns the device of an interface, by the usual place of its socket.
func Named(name string) Device { return Device{SocketDir + "/" + name + ".sock"} }

// Peers lists the peers. The caller zeroises their PSKs. Errors: NotFound or
// Denied when the socket cannot be opened, Corrupt for an answer that is not of
// the protocol, Other for an error number of the device.
func (d Device) Peers(ctx context.Context) (peers []Peer, err error) {
	err = d.exchange(ctx, []byte("get=1\n\n"), func(r *bufio.Reader) error {
		peers, err = readPeers(r)
		return err
	})
	return peers, err
}

// SetPSK replaces the pre-shared key of a peer that exists; a device that has no
// such peer changes nothing. psk is 32 bytes and stays the caller's.
func (d Device) SetPSK(ctx context.Context, peer PeerID, psk qsc.Secret) error {
	if psk.Len() != tunnel.KeySize {
		return qsc.E("wireguard.SetPSK", qsc.Invalid, "", "a pre-shared key is %d bytes", tunnel.KeySize)
	}
	msg := []byte("set=1\npublic_key=")
	msg = hex.AppendEncode(msg, peer[:])
	msg = append(msg, "\nupdate_only=true\npreshared_key="...)
	msg = append(msg, make([]byte, 2*tunnel.KeySize+2)...) // so that no growth leaves a copy
	at := len(msg) - 2*tunnel.KeySize - 2
	hex.Encode(msg[at:], psk.Expose())
	copy(msg[len(msg)-2:], "\n\n")
	defer clear(msg)
	return d.exchange(ctx, msg, func(r *bufio.Reader) error {
		return readLines(r, func(key, _ []byte) error {
			return corrupt("an answer to set with the key %.20q", key)
		})
	})
}

// exchange sends one request over a connection of its own and lets read take
// the answer, which may hold secrets: its buffer is wiped.
func (d Device) exchange(ctx context.Context, msg []byte, read func(*bufio.Reader) error) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", d.Socket)
	if err != nil {
		return openError(d.Socket, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if _, err := c.Write(msg); err != nil {
		return qsc.E("wireguard.Exchange", qsc.Unreachable, "", "the device closed its control socket: %w", err)
	}
	r := bufio.NewReaderSize(c, maxLine)
	defer wipe(r)
	return read(r)
}

// wipe overwrites what a reader has buffered, by reading zeros through it.
func wipe(r *bufio.Reader) {
	r.Reset(zeros{})
	_, _ = r.Peek(maxLine)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func openError(socket string, err error) error {
	kind, hint := qsc.Unreachable, "is the userspace WireGuard program running?"
	switch {
	case errors.Is(err, os.ErrNotExist):
		kind, hint = qsc.NotFound, "start the interface with wireguard-go, or name its socket; the kernel's own WireGuard has none"
	case errors.Is(err, os.ErrPermission):
		kind, hint = qsc.Denied, "run qsc as the user that runs WireGuard"
	}
	return qsc.E("wireguard.Open", kind, "", "cannot open the control socket %s: %s (%w)", socket, hint, err)
}

func corrupt(format string, args ...any) error {
	return qsc.E("wireguard.Read", qsc.Corrupt, "", "the control socket does not speak the userspace protocol: "+format, args...)
}

// readLines passes key=value lines to take until errno and the empty line. The
// slices are valid during the call only.
func readLines(r *bufio.Reader, take func(key, value []byte) error) error {
	for range maxLines {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return lineError(err)
		}
		line = line[:len(line)-1]
		if len(line) == 0 {
			return corrupt("the answer ends without errno")
		}
		key, value, ok := bytes.Cut(line, []byte{'='})
		if !ok {
			return corrupt("a line without '='")
		}
		if string(key) == "errno" {
			return status(value)
		}
		if err := take(key, value); err != nil {
			return err
		}
	}
	return corrupt("more than %d lines", maxLines)
}

func lineError(err error) error {
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return corrupt("a line of more than %d bytes", maxLine)
	case errors.Is(err, io.EOF):
		return corrupt("the answer is cut short")
	}
	return qsc.E("wireguard.Read", qsc.Unreachable, "", "the device did not answer: %w", err)
}

func status(value []byte) error {
	n, err := strconv.ParseInt(string(value), 10, 32)
	switch {
	case err != nil:
		return corrupt("an errno that is no number")
	case n != 0:
		return qsc.E("wireguard.Read", qsc.Other, "", "the device refuses: errno %d; its own log says why", n)
	}
	return nil
}

// readPeers reads the answer to get. The device's private key is passed over.
func readPeers(r *bufio.Reader) (peers []Peer, err error) {
	err = readLines(r, func(key, value []byte) error {
		if string(key) == "public_key" {
			if len(peers) == maxPeers {
				return corrupt("more than %d peers", maxPeers)
			}
			p := Peer{PSK: qsc.NewSecret(make([]byte, tunnel.KeySize))}
			peers = append(peers, p)
			return unhex(peers[len(peers)-1].ID[:], value)
		}
		if len(peers) == 0 {
			return nil
		}
		return peers[len(peers)-1].field(string(key), value)
	})
	if err != nil {
		for _, p := range peers {
			p.PSK.Zeroise()
		}
		return nil, err
	}
	return peers, nil
}

func (p *Peer) field(key string, value []byte) error {
	switch key {
	case "preshared_key":
		return unhex(p.PSK.Expose(), value)
	case "last_handshake_time_sec", "last_handshake_time_nsec":
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			return corrupt("a time that is no number")
		}
		if n > 0 && key == "last_handshake_time_sec" {
			p.Handshake = time.Unix(n, 0)
		} else if n > 0 {
			p.Handshake = p.Handshake.Add(time.Duration(n))
		}
	}
	return nil
}

func unhex(dst, text []byte) error {
	if len(text) != 2*len(dst) {
		return corrupt("a key of %d characters, not %d", len(text), 2*len(dst))
	}
	if _, err := hex.Decode(dst, text); err != nil {
		return corrupt("a key that is not hexadecimal")
	}
	return nil
}
