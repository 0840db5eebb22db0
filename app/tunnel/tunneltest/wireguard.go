package tunneltest

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"testing"
	"time"
)

// WireGuard is a pair of hosts with a wireguard-go on each, whose tunnel is up or
// comes up with the first packet. Host i has the address 10.91.0.(i+1) in it.
type WireGuard struct {
	*Pair
	Name   [2]string   // of the interfaces
	Socket [2]string   // control sockets
	Peer   [2][32]byte // public key of the other end, by which each knows it
	conf   [2]string   // of the peer, as set takes it, without its key
}

// NewWireGuard starts the pair, which ends with the test. It skips the test
// where that cannot be.
func NewWireGuard(t testing.TB) *WireGuard {
	t.Helper()
	Need(t, "wireguard-go")
	w := &WireGuard{Pair: NewPair(t)}
	var private [2]*ecdh.PrivateKey
	for i := range w.Name {
		private[i], _ = ecdh.X25519().GenerateKey(rand.Reader)
		w.Name[i] = fmt.Sprintf("q%s%d", w.NS[i][len(w.NS[i])-6:], i)
		w.Socket[i] = "/var/run/wireguard/" + w.Name[i] + ".sock"
		w.Start(i, []string{"LOG_LEVEL=error", "WG_PROCESS_FOREGROUND=1"}, "wireguard-go", "-f", w.Name[i])
		Await(t, "wireguard-go opens its socket", 30*time.Second, func() bool {
			c, err := net.Dial("unix", w.Socket[i]) // the file is there before anybody listens
			if err == nil {
				_ = c.Close()
			}
			return err == nil
		})
		w.In(i, "ip", "addr", "add", fmt.Sprintf("10.91.0.%d/24", i+1), "dev", w.Name[i])
		w.In(i, "ip", "link", "set", w.Name[i], "up")
	}
	for i := range w.Name {
		o := 1 - i
		w.Peer[i] = [32]byte(private[o].PublicKey().Bytes())
		w.conf[i] = fmt.Sprintf("public_key=%s\nendpoint=10.99.0.%d:51820\nreplace_allowed_ips=true\nallowed_ip=10.91.0.%d/32\n",
			hex.EncodeToString(w.Peer[i][:]), o+1, o+1)
		w.talk(i, "set=1\nprivate_key="+hex.EncodeToString(private[i].Bytes())+"\nlisten_port=51820\n"+w.conf[i]+"\n")
	}
	return w
}

// talk sends one raw request to the device of host i.
func (w *WireGuard) talk(i int, msg string) {
	w.t.Helper()
	c, err := net.Dial("unix", w.Socket[i])
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte(msg))
	answer := make([]byte, 64)
	n, _ := c.Read(answer)
	if string(answer[:n]) != "errno=0\n\n" {
		w.t.Fatalf("the device answers %q", answer[:n])
	}
}

// Again takes the peer of host i away, with its session, and puts it back with a
// pre-shared key: a new handshake has to be made.
func (w *WireGuard) Again(i int, key []byte) {
	w.t.Helper()
	w.talk(i, "set=1\npublic_key="+hex.EncodeToString(w.Peer[i][:])+"\nremove=true\n\n")
	w.talk(i, "set=1\n"+w.conf[i]+"preshared_key="+hex.EncodeToString(key)+"\n\n")
}
