package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// carry runs one connection's turn until it breaks, and returns why.
func (l *link) carry(ctx context.Context, c *carrier) error {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	done := make(chan error, 2)
	go func() { done <- l.sendFrames(ctx, c) }()
	go func() { done <- l.recvFrames(ctx, c) }()
	err := <-done
	cancel(err)
	c.close()
	<-done
	return err
}

// sendFrames first sends again, unchanged, what the peer has not acknowledged,
// then seals new frames.
func (l *link) sendFrames(ctx context.Context, c *carrier) error {
	for _, f := range c.again() {
		if _, err := c.conn.Write(f); err != nil {
			return err
		}
	}
	for {
		n, open, ok := c.next()
		if !ok {
			return c.reason()
		}
		least, full := otp.KeyOverhead, otp.KeyOverhead
		if !open {
			least, full = least+bodySize(min(n, minTail)), full+bodySize(n)
		}
		pad, err := l.reserve(ctx, c.session, least, full)
		if err != nil {
			return err
		}
		if open {
			err = l.sendClear(c, &pad)
		} else {
			err = l.sendSealed(c, &pad)
		}
		if err != nil {
			return err
		}
	}
}

// again returns copies of the frames that are kept: the originals may be
// recycled as soon as an acknowledgement comes.
func (c *carrier) again() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var frames [][]byte
	for _, f := range c.kept {
		frames = append(frames, append([]byte(nil), f.frame...))
	}
	return frames
}

func (c *carrier) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	return io.ErrClosedPipe
}

// reserve takes a pad of full bytes, or fewer where the key ends sooner. While
// there is no key it waits, and the session says so.
func (l *link) reserve(ctx context.Context, s *session, least, full int) (otp.Pad, error) {
	for {
		pad, err := l.tryReserve(ctx, s, least, full)
		if !qsc.IsKind(err, qsc.Exhausted) {
			return pad, err
		}
		// A finite stock: wait for the courier.
		select {
		case <-ctx.Done():
			return otp.Pad{}, context.Cause(ctx)
		case <-time.After(stockPoll):
		}
	}
}

// stockPoll is how often a transfer that ran out of couriered key looks again.
const stockPoll = 100 * time.Millisecond

func (l *link) tryReserve(ctx context.Context, s *session, least, full int) (otp.Pad, error) {
	pad, err := l.cfg.Ledger.Reserve(ctx, keymgmt.Data, least, full)
	s.mu.Lock()
	s.waiting = qsc.IsKind(err, qsc.Exhausted)
	s.mu.Unlock()
	return pad, err
}

// sendSealed sends the next secret bytes, as many as the pad covers.
func (l *link) sendSealed(c *carrier, pad *otp.Pad) error {
	size := pad.Len() - otp.KeyOverhead
	frame := framePool.get(otp.Overhead + size)[:otp.Overhead+size]
	body := frame[otp.HeaderSize : otp.HeaderSize+size]
	seq, n := c.fill(body)
	if err := otp.Seal(frame, pad, body); err != nil {
		c.fail(err) // stream bytes are lost with the frame
		return err
	}
	return c.send(sealed{seq: seq, pos: pad.Pos(), frame: frame}, n)
}

// sendClear sends the next public bytes, or a bare acknowledgement.
func (l *link) sendClear(c *carrier, pad *otp.Pad) error {
	frame, seq, n := c.fillClear()
	if err := otp.SealClear(frame, pad, frame[otp.HeaderSize:len(frame)-otp.TagSize]); err != nil {
		c.fail(err)
		return err
	}
	return c.send(sealed{seq: seq, pos: pad.Pos(), frame: frame}, n)
}

// send writes a frame of n stream bytes. It is kept, unless it has none.
func (c *carrier) send(f sealed, n int) error {
	if n > 0 {
		c.keep(f)
	}
	if _, err := c.conn.Write(f.frame); err != nil {
		return err
	}
	if n > 0 {
		c.wrote(f.seq)
	} else {
		framePool.put(f.frame)
	}
	return nil
}

func (l *link) recvFrames(ctx context.Context, c *carrier) error {
	r := bufio.NewReaderSize(c.conn, 64<<10)
	buf := make([]byte, frameLimit)
	for {
		frame, err := readFrame(r, buf)
		if err != nil {
			return err
		}
		body, open, err := l.open(ctx, frame)
		if err != nil {
			c.stuckOn(err)
			return err
		}
		got, err := c.take(body, open)
		for _, q := range got.begun {
			l.serve(q)
		}
		if got.told {
			l.tell(c.session)
		}
		if err != nil {
			c.fail(err)
			return err
		}
	}
}

// maxStuck is how many connections in a row may break on the first frame they
// bring: sent again unchanged, it would break the next one too.
const maxStuck = 3

// stuckOn gives the session up when a frame that would be sent again cannot be
// opened here, because its pad is not the same at both ends.
func (c *carrier) stuckOn(err error) {
	c.mu.Lock()
	c.stuck++
	over := c.stuck >= maxStuck
	c.mu.Unlock()
	if over && grave(err) {
		c.fail(err)
	}
}

// readFrame reads one frame into buf. Nothing of it is trusted yet but its
// length, which is bounded.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, buf[:otp.HeaderSize]); err != nil {
		return nil, err
	}
	h, err := otp.ParseHeader(buf[:otp.HeaderSize])
	if err != nil {
		return nil, err
	}
	n := otp.Overhead + int(h.Len)
	if n > len(buf) {
		return nil, qsc.E("transport.Read", qsc.Invalid, "", "frame of %d bytes is over the limit of %d", n, len(buf))
	}
	_, err = io.ReadFull(r, buf[otp.HeaderSize:n])
	return buf[:n], err
}

// open verifies a frame, marks its pad as used, durably, and only then decrypts
// it in place. It says whether the body was in clear.
func (l *link) open(ctx context.Context, frame []byte) (body []byte, clear bool, err error) {
	h, err := otp.ParseHeader(frame)
	if err != nil {
		return nil, false, err
	}
	pad, err := l.cfg.Ledger.View(ctx, h)
	if err != nil {
		return nil, false, err
	}
	if err := otp.Verify(&pad, frame); err != nil {
		return nil, false, err
	}
	if err := l.cfg.Ledger.Consume(h); err != nil {
		return nil, false, err
	}
	n, err := otp.Decrypt(frame[otp.HeaderSize:], &pad, frame)
	return frame[otp.HeaderSize : otp.HeaderSize+n], h.Clear, err
}

// grave reports whether an error of a connection means more than a cut cable.
func grave(err error) bool {
	var e *qsc.Error
	return errors.As(err, &e) && e.Kind != qsc.Unreachable && e.Kind != qsc.Timeout
}
