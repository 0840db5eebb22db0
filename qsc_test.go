package qsc_test

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func TestIdentifierText(t *testing.T) {
	b := [16]byte{0x00, 0x01, 0x02, 0x03, 0x10, 0x11, 0x4a, 0x21, 0x9f, 0xff, 0xab, 0xcd, 0xef, 0x04, 0x05, 0x06}
	const want = "00010203-1011-4a21-9fff-abcdef040506"
	if got := qsc.KeyID(b).String(); got != want {
		t.Errorf("KeyID: %s, want %s", got, want)
	}
	if got := qsc.ObjectID(b).String(); got != want {
		t.Errorf("ObjectID: %s, want %s", got, want)
	}
}

func TestUnits(t *testing.T) {
	for rate, want := range map[qsc.BitRate]string{
		0: "0 bit/s", 1: "1 bit/s", 999: "999 bit/s", 1000: "1 kbit/s", 1234567: "1.235 Mbit/s",
		2.5e9: "2.5 Gbit/s", 1e12: "1 Tbit/s", 4e15: "4000 Tbit/s",
	} {
		if got := rate.String(); got != want {
			t.Errorf("%g: %q, want %q", float64(rate), got, want)
		}
	}
	for bits, want := range map[qsc.Bits]int64{0: 0, 7: 0, 8: 1, 8191: 1023} {
		if got := bits.Bytes(); got != want {
			t.Errorf("%d bits: %d bytes, want %d", bits, got, want)
		}
	}
}
