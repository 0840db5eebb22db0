package otp

import (
	"fmt"
	"testing"
)

var benchSizes = []int{1 << 10, 64 << 10, 256 << 10}

// BenchmarkCopy is the yardstick: memcpy of the same body in the same run.
func BenchmarkCopy(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			src, dst := make([]byte, n), make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				copy(dst, src)
			}
		})
	}
}

// renew makes a pad usable again. Its key bytes do not matter to speed: all but
// three bytes stay zero, as erasing leaves them.
func renew(p *Pad) {
	l := p.life
	l.key[0], l.key[16], l.guard[0] = 1, 2, 3
	l.state.Store(fresh)
}

func benchFrame(b *testing.B, f func(frame, body []byte, pad *Pad) error) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			body, frame := make([]byte, n), make([]byte, Overhead+n)
			pad := NewPad(0, 0, 0, testGuard, make([]byte, KeyOverhead+n), nil)
			clear(pad.life.guard[:])
			renew(&pad)
			if err := Seal(frame, &pad, body); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				renew(&pad)
				if err := f(frame, body, &pad); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSeal encrypts, tags and erases.
func BenchmarkSeal(b *testing.B) {
	benchFrame(b, func(frame, body []byte, pad *Pad) error { return Seal(frame, pad, body) })
}

// BenchmarkOpen verifies, decrypts and erases.
func BenchmarkOpen(b *testing.B) {
	benchFrame(b, func(frame, body []byte, pad *Pad) error {
		_, err := Open(body, pad, frame)
		return err
	})
}

// BenchmarkSealClear tags what stays in clear, in place.
func BenchmarkSealClear(b *testing.B) {
	benchFrame(b, func(frame, body []byte, pad *Pad) error {
		key := pad.life.key
		pad.life.key = key[:KeyOverhead]
		defer func() { pad.life.key = key }()
		return SealClear(frame, pad, frame[HeaderSize:HeaderSize+len(body)])
	})
}

// BenchmarkAnnounce adds two stretches and erases both.
func BenchmarkAnnounce(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			dst := make([]byte, n)
			in := NewPad(0, 0, 0, testGuard, make([]byte, n), nil)
			out := NewPad(1, 0, 0, testGuard, make([]byte, n), nil)
			b.SetBytes(int64(n))
			for b.Loop() {
				for _, p := range []*Pad{&in, &out} {
					for i := 0; i < n; i += page { // no hole
						p.life.key[i] = 1
					}
					renew(p)
				}
				if err := Announce(dst, []*Pad{&in}, []*Pad{&out}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
