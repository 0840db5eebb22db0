package distill

import (
	"context"
	"net"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// greeting is how long the ends have to say who they are.
const greeting = 5 * time.Second

// session is one connection's rounds.
type session struct {
	l    *Link
	c    *conn
	last uint64 // round, the later of the two ends'
}

// run holds a connection as long as the link is open.
func (l *Link) run() {
	for row := 0; l.ctx.Err() == nil; row++ {
		good, err := l.connect()
		if l.ctx.Err() != nil {
			return
		}
		if good {
			row = 0
		}
		t := time.NewTimer(l.failed(err, row))
		select {
		case <-t.C:
		case <-l.ctx.Done():
		}
		t.Stop()
	}
}

// connect makes one connection and distils over it until something is wrong. good
// says that a round came to its end.
func (l *Link) connect() (good bool, err error) {
	raw, err := l.reach()
	if err != nil {
		return false, err
	}
	s := &session{l: l, c: newConn(raw, &l.tamper)}
	stop := context.AfterFunc(l.ctx, func() { _ = raw.Close() })
	defer stop()
	l.ending.Wait() // what both ends have is settled before they tell each other
	if err = s.greet(); err == nil {
		for err == nil {
			if err = s.round(l.ctx); err == nil {
				good = true
			}
		}
	}
	kind := qsc.KindOf(err)
	if l.ctx.Err() != nil {
		kind = qsc.Unreachable // this end closes
	}
	s.c.abort(kind)
	return good, err
}

// reach waits for the other end or calls it.
func (l *Link) reach() (net.Conn, error) {
	if l.cfg.Role == Alice {
		late := time.AfterFunc(silence, l.alone)
		defer late.Stop()
		c, err := l.cfg.Listen.Accept()
		if err != nil {
			return nil, qsc.E("distill.Listen", qsc.Unreachable, string(l.cfg.Link), "the other end cannot call: %w", err)
		}
		return c, nil
	}
	ctx, cancel := context.WithTimeout(l.ctx, patience)
	defer cancel()
	c, err := l.cfg.Dial(ctx)
	if err != nil {
		return nil, qsc.E("distill.Dial", qsc.Unreachable, string(l.cfg.Link), "the other end does not answer: %w", err)
	}
	return c, nil
}

// alone raises Alice's alarm when nobody has called for a while.
func (l *Link) alone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.account.status.Alarm == "" {
		l.account.status.Alarm = qsc.E("distill.Listen", qsc.Unreachable, string(l.cfg.Link), "the other end does not call: see whether it runs").Error()
	}
}

// greet exchanges who the ends are. Nobody vouches for it yet.
func (s *session) greet() error {
	ctx, cancel := context.WithTimeout(s.l.ctx, greeting)
	defer cancel()
	mine := hello{string(s.l.cfg.Link), s.l.cfg.Epoch, uint64(s.l.cfg.Block), s.l.cfg.Role, s.l.doneRound()}
	if err := s.c.Send(ctx, typeHello, mine.encode()); err != nil {
		return err
	}
	theirs, err := hear(ctx, s.c, typeHello, maxText, parseHello)
	if err != nil {
		return err
	}
	if theirs.link != mine.link || theirs.epoch != mine.epoch || theirs.block != mine.block || theirs.role != mine.role.other() {
		return qsc.E("distill.Hello", qsc.Conflict, mine.link, "the other end is the %s of a link of epoch %d with blocks of %d bytes: compare the two configurations", theirs.role, theirs.epoch, theirs.block)
	}
	s.last = max(mine.round, theirs.round)
	return nil
}

func (l *Link) doneRound() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.round
}
