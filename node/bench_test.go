package node

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

// BenchmarkWhole puts and gets one file over three sites, all four nodes in this
// process, so that one profile shows every floor. It stops when the couriered
// key is used up: give -benchtime 1x to 4x.
func BenchmarkWhole(b *testing.B) {
	const size = 64 << 20
	star := strings.NewReplacer(`pad = "2 MiB"`, `pad = "420 MiB"`, `block = "64 KiB"`, `block = "1 MiB"`, `chunk = "64 KiB"`, `chunk = "1 MiB"`).Replace(star)
	c := newCluster(b, star)
	data := randomBytes(size)
	c.await("the courier's key", func() bool {
		for _, n := range c.run {
			for _, l := range n.Status(b.Context()).Links {
				if l.Stock > 0 {
					return false
				}
			}
		}
		return true
	})
	c.put("o", data, "")
	b.Run("put", func(b *testing.B) {
		b.SetBytes(size)
		defer cpu(b, size)()
		for b.Loop() {
			if _, err := c.home.Put(b.Context(), "o", bytes.NewReader(data), admin.PutOptions{Size: size, Replace: true}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		b.SetBytes(size)
		defer cpu(b, size)()
		for b.Loop() {
			if _, err := c.home.Get(b.Context(), "o", io.Discard, 0, -1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// cpu reports the processor time that all nodes together take for a secret byte,
// which other work on the machine does not blur.
func cpu(b *testing.B, size int64) func() {
	start := processTime()
	return func() {
		b.ReportMetric(float64(processTime()-start)/float64(b.N)/float64(size), "cpu-ns/B")
	}
}

func processTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // 0 if it fails
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
