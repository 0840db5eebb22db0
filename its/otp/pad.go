package otp

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/quantum-secure-cloud/qsc"
)

// The life of a pad: a sender's goes from fresh to spent, a receiver's from
// fresh over verified to spent. While a call works on it, it is busy.
const (
	fresh uint32 = iota
	busy
	verified
	spent
)

// Pad is key reserved for exactly one frame, or for one Announce or Release. Only the key ledger mints pads; a
// law test at the root checks who calls NewPad. Copies share one life: once one
// of them is spent, all are. A Pad has no printable form.
type Pad struct {
	lane  Lane
	epoch uint32
	pos   uint64
	life  *life
}

type life struct {
	state atomic.Uint32
	guard [GuardSize]byte
	tag   [TagSize]byte // of the frame Verify accepted
	key   []byte
	erase func()
	short bool // the guard had a wrong length
}

// NewPad makes the pad of bytes [pos, pos+len(key)) of a lane's stream.
//
// key is used in place, not copied: it is overwritten with zeros when the pad is
// spent, then erase is called once, if it is not nil. It must not change or
// overlap another live sending pad before that.
//
// guard is 16 secret bytes of the key block in which pos lies, the same at both
// ends; it is copied. No frame's pad ever covers a guard, and it lives as long
// as any byte of the block may still be asked for. Without it a wiretapper who
// knows a body knows the pad under it; by cutting the connection and naming a
// position inside that stretch as the start of a frame of his own, he would know
// both point and mask and could forge. The guard is added to every point. Pads
// should start at multiples of 16: docs/design/otp.md says what is proven then,
// and what otherwise.
func NewPad(lane Lane, epoch uint32, pos uint64, guard, key []byte, erase func()) Pad {
	l := &life{key: key, erase: erase, short: len(guard) != GuardSize}
	copy(l.guard[:], guard)
	return Pad{lane: lane, epoch: epoch, pos: pos, life: l}
}

// Lane returns the lane the pad belongs to.
func (p Pad) Lane() Lane { return p.lane }

// Epoch returns the epoch the pad belongs to.
func (p Pad) Epoch() uint32 { return p.epoch }

// Pos returns the position of the pad's first byte in its lane.
func (p Pad) Pos() uint64 { return p.pos }

// Len returns the length of the pad in bytes: KeyOverhead more than the sealed
// body it is for.
func (p Pad) Len() int {
	if p.life == nil {
		return 0
	}
	return len(p.life.key)
}

// Spent reports whether the pad was used or burnt.
func (p Pad) Spent() bool { return p.life == nil || p.life.state.Load() == spent }

// Burn erases a pad that will not be used and spends it. It does nothing to a
// pad that is spent already, and refuses (Conflict) while another call uses it.
func (p *Pad) Burn() error {
	l := p.life
	if p.Spent() {
		return nil
	}
	if !l.state.CompareAndSwap(fresh, busy) && !l.state.CompareAndSwap(verified, busy) {
		return p.conflict("otp.Burn")
	}
	l.spend(0)
	return nil
}

// Format implements fmt.Formatter for every verb.
func (p Pad) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[secret]")) }

// LogValue implements slog.LogValuer.
func (p Pad) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText keeps encoders from reaching the bytes.
func (p Pad) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// take moves the pad from state from to busy, or says why that is not allowed.
// A pad that reads as zeros was erased before, and would send the body in clear.
func (p *Pad) take(op string, from uint32) error { return p.takeLong(op, from, KeyOverhead) }

// takeLong is take for a pad of at least least bytes.
func (p *Pad) takeLong(op string, from uint32, least int) error {
	l := p.life
	if l == nil {
		return qsc.E(op, qsc.Invalid, "", "an empty pad: reserve one from the key ledger")
	}
	if l.short || len(l.key) < least {
		return qsc.E(op, qsc.Invalid, "", "the pad at %d has %d bytes of key or a guard of a wrong length: the key ledger mints pads", p.pos, len(l.key))
	}
	if !l.state.CompareAndSwap(from, busy) {
		return p.conflict(op)
	}
	if zero(l.guard[:]) || zero(l.key[:min(KeyOverhead, len(l.key))]) {
		l.state.Store(from)
		return qsc.E(op, qsc.Conflict, "", "the pad at %d or its guard is erased: its bytes were used before and are never used again", p.pos)
	}
	return nil
}

func (p *Pad) conflict(op string) error {
	return qsc.E(op, qsc.Conflict, "", "the pad of lane %d at %d is spent, in use or not verified: one pad serves one frame, reserve another", p.lane, p.pos)
}

// spend erases what is left of a busy pad, from byte done on, and ends its life.
func (l *life) spend(done int) {
	clear(l.key[:min(KeyOverhead, len(l.key))])
	clear(l.key[min(max(done, KeyOverhead), len(l.key)):])
	clear(l.guard[:])
	l.state.Store(spent)
	if l.erase != nil {
		l.erase()
	}
}

func zero(b []byte) bool {
	var x byte
	for _, v := range b {
		x |= v
	}
	return x == 0
}
