package twins

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
)

// The connection between the two ends. A frame is its length (u32) and content.
// Both say hello; then the slave asks and the master answers, one after the other.
const (
	helloMagic = 0x51534348 // QSCH

	askLists = 1 // change u64, wait in ms u32 → change u64, numbers u64…, at most maxLists
	askList  = 2 // number u64 → the list, or nothing when there is none
	askDone  = 3 // number u64 → nothing
	askHeld  = 4 // anew u64 (1: forget what was told before), IDs of 16 each → nothing

	maxAsk    = 600
	maxSlaves = 4 // connections at once
	patience  = 30 * time.Second
	maxWait   = 10 * time.Second
)

func sendFrame(c net.Conn, b []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b))), b...))
	return err
}

// readFrame reads at most limit bytes of content. Errors: of c; Corrupt.
func readFrame(c net.Conn, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if uint64(n) > uint64(limit) {
		return nil, qsc.E("twins.Exchange", qsc.Corrupt, "", "a frame of %d bytes, at most %d are expected", n, limit)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return b, err
}

// hello names the link: two ends that are not of one link, epoch and block length
// part at once.
func (l *Link) hello() []byte {
	var w wire.Writer
	return w.U32(helloMagic).U8(1).U32(l.cfg.Epoch).U64(uint64(l.cfg.Block)).Text(string(l.cfg.Link)).B
}

func (l *Link) greet(c net.Conn) error {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if err := sendFrame(c, l.hello()); err != nil {
		return err
	}
	b, err := readFrame(c, maxAsk)
	if err == nil && string(b) != string(l.hello()) {
		err = l.err(qsc.Conflict, "the other end speaks of another link, epoch or block length: compare the two configurations")
	}
	return err
}

// serve takes the slave's connections until the listener closes.
func (m *master) serve() {
	var conns sync.WaitGroup
	defer conns.Wait()
	slots := make(chan struct{}, maxSlaves)
	for {
		c, err := m.l.cfg.Listen.Accept()
		if err != nil {
			if m.l.ctx.Err() == nil {
				m.l.mu.Lock()
				m.l.alarm = "the slave cannot connect any more: " + err.Error()
				m.l.mu.Unlock()
			}
			return
		}
		select {
		case slots <- struct{}{}:
			conns.Go(func() { m.attend(c); <-slots })
		default:
			_ = c.Close()
		}
	}
}

// attend answers one connection until it breaks or the link closes.
func (m *master) attend(c net.Conn) {
	if m.l.cfg.TLS != nil {
		c = tls.Server(c, m.l.cfg.TLS)
	}
	defer c.Close()
	stop := context.AfterFunc(m.l.ctx, func() { _ = c.Close() })
	defer stop()
	if m.l.greet(c) != nil {
		return
	}
	for {
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
		b, err := readFrame(c, m.maxAsk())
		if err != nil {
			return
		}
		answer, ok := m.reply(b)
		if !ok || sendFrame(c, answer) != nil {
			return
		}
	}
}

// maxAsk bounds a question.
func (m *master) maxAsk() int {
	if _, ok := m.l.cfg.Source.(Sharer); ok {
		return 1 + 8 + 16*MaxHeld
	}
	return maxAsk
}

// reply answers one question; not ok is one that cannot be understood.
func (m *master) reply(b []byte) (answer []byte, ok bool) {
	r := wire.NewReader(b)
	op, n := r.U8(), r.U64()
	if op == askLists {
		wait := time.Duration(r.U32()) * time.Millisecond
		return m.tell(n, min(wait, maxWait)), r.Done() == nil
	}
	if op == askHeld {
		return nil, r.Err() == nil && m.shared(n, b[min(9, len(b)):])
	}
	if r.Done() != nil {
		return nil, false
	}
	switch op {
	case askList:
		if x, err := m.list(n); err == nil {
			return x.encode(), true
		}
		return nil, true
	case askDone:
		m.done(n)
		return nil, true
	}
	return nil, false
}

// shared hands the source the keys that the other end has.
func (m *master) shared(anew uint64, raw []byte) bool {
	h, ok := m.l.cfg.Source.(Sharer)
	if !ok || anew > 1 || len(raw)%16 != 0 || len(raw) > 16*MaxHeld {
		return false
	}
	ids := make([]qsc.KeyID, len(raw)/16)
	for i := range ids {
		copy(ids[i][:], raw[16*i:])
	}
	h.Shared(anew == 1, ids)
	return true
}

// tell returns the lists that wait, at once when they have changed since.
func (m *master) tell(since uint64, wait time.Duration) []byte {
	m.mu.Lock()
	if m.change == since && wait > 0 {
		changed := m.changed
		m.mu.Unlock()
		t := time.NewTimer(wait)
		select {
		case <-changed:
		case <-t.C:
		case <-m.l.ctx.Done():
		}
		t.Stop()
		m.mu.Lock()
	}
	defer m.mu.Unlock()
	var w wire.Writer
	w.U64(m.change)
	for _, seq := range m.waiting {
		w.U64(seq)
	}
	return w.B
}
