package etsi004

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
	"github.com/quantum-secure-cloud/qsc/internal/etsi004/etsi004test"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
	"github.com/quantum-secure-cloud/qsc/quantum"
	device "github.com/quantum-secure-cloud/qsc/quantum/device/etsi004"
	"github.com/quantum-secure-cloud/qsc/quantum/quantumtest"
)

const caEnv = "QSC_TEST_ETSI004_CA"

// TestKMEProcess is no test but the KME of the tests below, in a process of its
// own: it says where it listens and serves until its input ends.
func TestKMEProcess(t *testing.T) {
	saved := os.Getenv(caEnv)
	if saved == "" {
		t.Skip("this is the other process of TestDevicePassesTheKit")
	}
	ca := etsi004test.LoadCA(t, []byte(saved))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Serve(l, Config{Supply: keymgmttest.NewSupply(keymgmttest.SupplyConfig{Seed: uint64(time.Now().UnixNano()), Class: qsc.Simulated}), TLS: ca.Server(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fmt.Println("listening", s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// kmeProcess starts the KME and returns its address.
func kmeProcess(t *testing.T, ca *etsi004test.CA) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKMEProcess$")
	cmd.Env = append(os.Environ(), caEnv+"="+string(ca.Save(t)))
	cmd.Stderr = os.Stderr
	stop, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "listening "))
}

// The device that speaks 004 is a link like any other, with this server, in
// another process, as its KME.
func TestDevicePassesTheKit(t *testing.T) {
	ca := etsi004test.NewCA(t)
	addr := kmeProcess(t, ca)
	apps := [2]string{"node-a", "node-b"}
	var n byte
	quantumtest.Conform(t, func(t *testing.T) quantumtest.Pair {
		n++
		stream := id(n)
		hold(t, ca, addr, apps, stream)
		return quantumtest.Pair{Link: "a-b", Epoch: 7, Block: 4096, Open: func(t *testing.T, end int) quantum.Link {
			l, err := device.Open(device.Config{Link: "a-b", Epoch: 7, Block: 4096, Since: time.Unix(1e9, 0), Addr: addr, TLS: ca.Client(t, apps[end]),
				Source: "qkd://" + apps[end] + "@kme", Destination: "qkd://" + apps[1-end] + "@kme", Stream: stream, Retry: 10 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}}
	})
}

// hold opens both ends and stays, for the kit sometimes opens only one: what the
// link at the other node does.
func hold(t *testing.T, ca *etsi004test.CA, addr string, apps [2]string, stream wire.KSID) {
	t.Helper()
	var ends [2]<-chan opening
	for i := range ends {
		c, err := Dial(t.Context(), addr, ca.Client(t, apps[i]))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		ends[i] = open(t, c, apps[i], apps[1-i], stream, wire.QoS{ChunkSize: 4096, Mimetype: wire.QSC})
	}
	for _, e := range ends {
		(<-e).check(t, wire.OK)
	}
}

// Both ends of a link, in order, until 100 blocks are equal.
func TestDeviceEndsAgree(t *testing.T) {
	ca := etsi004test.NewCA(t)
	addr := kmeProcess(t, ca)
	apps := [2]string{"node-a", "node-b"}
	var ends [2]*device.Link
	for i := range ends {
		l, err := device.Open(device.Config{Link: "a-b", Block: 1024, Since: time.Unix(1e9, 0), Addr: addr, TLS: ca.Client(t, apps[i]),
			Source: apps[i], Destination: apps[1-i], Stream: id(1)})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ends[i] = l
	}
	blocks := make(chan quantum.KeyBlock, 100)
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(blocks)
		for range cap(blocks) {
			b, err := ends[1].Next(t.Context(), func(uint64) bool { return true })
			if err != nil {
				failed <- err
				return
			}
			blocks <- b
		}
	})
	for range cap(blocks) {
		a, err := ends[0].Next(t.Context(), func(uint64) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		b, ok := <-blocks
		if !ok {
			t.Fatal(<-failed)
		}
		if a.Seq != b.Seq || a.ID != b.ID || !bytes.Equal(a.Key.Expose(), b.Key.Expose()) || a.Class != qsc.Computational|qsc.Simulated {
			t.Fatalf("the ends disagree on block %d, class %v", a.Seq, a.Class)
		}
	}
}
