package twins

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// watch is how long one question for new lists may wait at the master.
const watch = 250 * time.Millisecond

// slave takes the twins of the keys that the master has made blocks of.
type slave struct {
	l       *Link
	conn    net.Conn // nil: none
	told    bool     // over this connection: which keys there are
	change  uint64
	offered []uint64        // rising
	taken   map[uint64]bool // of those offered: used up, the master does not know yet
}

func (s *slave) close() { s.hangUp() }

// choose fetches the lowest offered block that is wanted; without one it asks for
// news.
func (s *slave) choose(want func(uint64) bool) (func() (*quantum.KeyBlock, error), bool) {
	for _, seq := range s.offered {
		if !s.taken[seq] && want(seq) {
			return func() (*quantum.KeyBlock, error) { return s.fetch(seq) }, true
		}
	}
	return s.look, true
}

// look asks the master what there is and tells it what is used up.
func (s *slave) look() (*quantum.KeyBlock, error) {
	for seq := range s.taken {
		if _, err := s.ask(askDone, seq, 0, 0); err != nil {
			return nil, s.rest(err)
		}
		delete(s.taken, seq)
		s.change = 0
	}
	if err := s.announce(); err != nil {
		return nil, s.rest(err)
	}
	b, err := s.ask(askLists, s.change, uint32(watch/time.Millisecond), 8+8*maxLists)
	if err != nil {
		return nil, s.rest(err)
	}
	r := wire.NewReader(b)
	s.change = r.U64()
	s.offered = s.offered[:0]
	for range (len(b) - 8) / 8 {
		s.offered = append(s.offered, r.U64())
	}
	if r.Done() != nil || !slices.IsSorted(s.offered) {
		s.hangUp()
		return nil, s.l.err(qsc.Corrupt, "the master's answer cannot be read")
	}
	s.l.mu.Lock()
	s.l.alarm = ""
	s.l.mu.Unlock()
	return nil, nil
}

// announce tells the master which keys have come to this end, where that is not
// known from the source: all of them over a new connection, then what is new.
func (s *slave) announce() error {
	h, ok := s.l.cfg.Source.(Sharer)
	for ok {
		if err := s.connect(); err != nil {
			return err
		}
		ids := h.Held(!s.told)
		if len(ids) == 0 && s.told {
			return nil
		}
		anew := uint64(0)
		if !s.told {
			anew = 1
		}
		s.told = true // a connection that breaks tells all again
		if _, err := s.exchange(askHeld, anew, raw(ids), 0); err != nil {
			return err
		}
	}
	return nil
}

func raw(ids []qsc.KeyID) []byte {
	b := make([]byte, 0, 16*len(ids))
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

// rest waits a moment before the next try; what is wrong stands in the alarm. An
// end that is of another link is said at once.
func (s *slave) rest(err error) error {
	s.hangUp()
	if qsc.IsKind(err, qsc.Conflict) {
		return err
	}
	s.l.mu.Lock()
	s.l.alarm = "the master end cannot be reached: " + err.Error()
	s.l.mu.Unlock()
	t := time.NewTimer(watch)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.l.ctx.Done():
	}
	return nil
}

// fetch takes the twins of one block. From the first of them on the block is
// either whole or lost.
func (s *slave) fetch(seq uint64) (*quantum.KeyBlock, error) {
	b, err := s.ask(askList, seq, 0, maxList(s.l.cfg.Block))
	if err != nil {
		return nil, s.rest(err)
	}
	if len(b) == 0 { // gone meanwhile
		s.offered = slices.DeleteFunc(s.offered, func(x uint64) bool { return x == seq })
		return nil, nil
	}
	x, err := decodeList(b, s.l.cfg.Block)
	if err == nil && (x.seq != seq || x.epoch != s.l.cfg.Epoch) {
		err = badList("it is another block's")
	}
	if err != nil {
		s.hangUp()
		return nil, err
	}
	s.taken[seq] = true
	x.class |= s.l.cfg.Class
	block := make([]byte, 0, s.l.cfg.Block)
	for ids := range slices.Chunk(x.ids, int(x.batch)) {
		k, err := s.twins(ids, int(x.size))
		if err != nil {
			clear(block)
			return nil, s.l.err(qsc.KindOf(err), "block %d is lost: %w", seq, err)
		}
		block = fill(block, k)
		x.class |= k.Class
	}
	return s.l.block(x, block), nil
}

func (s *slave) twins(ids []qsc.KeyID, size int) (*Keys, error) {
	var k *Keys
	err := s.l.insist(func() (err error) { k, err = s.l.cfg.Source.Twins(s.l.ctx, ids); return err })
	if err == nil && (k.Size != size || k.Bytes.Len() != len(ids)*size) {
		k.Bytes.Zeroise()
		err = s.l.err(qsc.Corrupt, "the source gives keys of %d bytes, the master's has given %d", k.Size, size)
	}
	return k, err
}

// ask puts one question over the connection, which it opens when there is none.
func (s *slave) ask(op uint8, n uint64, wait uint32, limit int) ([]byte, error) {
	if err := s.connect(); err != nil {
		return nil, err
	}
	var tail wire.Writer
	if op == askLists {
		tail.U32(wait)
	}
	return s.exchange(op, n, tail.B, limit)
}

// exchange sends a question and returns the answer.
func (s *slave) exchange(op uint8, n uint64, tail []byte, limit int) ([]byte, error) {
	stop := context.AfterFunc(s.l.ctx, s.cut(s.conn))
	defer stop()
	var w wire.Writer
	if err := sendFrame(s.conn, w.U8(op).U64(n).Raw(tail).B); err != nil {
		return nil, err
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	return readFrame(s.conn, limit)
}

func (s *slave) cut(c net.Conn) func() { return func() { _ = c.Close() } }

func (s *slave) connect() error {
	if s.conn != nil {
		return nil
	}
	c, err := (&net.Dialer{Timeout: patience}).DialContext(s.l.ctx, "tcp", s.l.cfg.Dial)
	if err != nil {
		return err
	}
	if conf := s.l.cfg.TLS; conf != nil {
		if conf.ServerName == "" && !conf.InsecureSkipVerify {
			conf = conf.Clone()
			conf.ServerName, _, _ = net.SplitHostPort(s.l.cfg.Dial)
		}
		c = tls.Client(c, conf)
	}
	stop := context.AfterFunc(s.l.ctx, s.cut(c))
	defer stop()
	if err := s.l.greet(c); err != nil {
		_ = c.Close()
		return err
	}
	s.conn, s.change, s.told = c, 0, false
	return nil
}

func (s *slave) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}
