package etsi004

import (
	"context"
	"math/bits"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
)

// get serves GET_KEY. The supply writes the chunk where it stands in the answer;
// from there TLS encrypts it, and the buffer is wiped.
func (c *conn) get(r wire.GetRequest) error {
	e, chunk, status, needed := c.ask(r)
	if status != wire.OK {
		return c.send(wire.AppendGetFailure(c.out[:0], status, r.Index, needed))
	}
	ctx, cancel := context.WithTimeout(c.ctx, e.timeout)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	if err := e.acquire(ctx, c.s, chunk); err != nil {
		return c.send(wire.AppendGetFailure(c.out[:0], wire.TimedOut, r.Index, 0))
	}
	defer e.release(c.s, chunk)
	b := c.s.pools.take(chunk)
	defer c.s.pools.give(b, chunk)
	info, err := e.stream.Get(ctx, r.Index, (*b)[wire.KeyAt:wire.KeyAt+chunk])
	if err != nil {
		status, index := e.refusal(err, r.Index)
		if status == wire.NoConnection {
			c.s.cfg.Logger.Warn("ETSI 004 GET_KEY failed", "app", e.app, "err", err)
		}
		return c.send(wire.AppendGetFailure(c.out[:0], status, index, 0))
	}
	e.gave(r.Index)
	var room [256]byte
	meta := wire.AppendMetadata(room[:0], e.mime, wire.Metadata{Age: info.Age, Hops: uint32(max(0, info.Hops)), Class: info.Class})
	return c.send(wire.SealGetResponse(*b, r.Index, chunk, meta))
}

// ask checks all that can be checked before key is taken.
func (c *conn) ask(r wire.GetRequest) (e *end, chunk int, s wire.Status, needed uint32) {
	if e = c.s.find(c, r.ID); e == nil {
		return nil, 0, wire.NoConnection, 0
	}
	select {
	case <-e.ready:
	default:
		return nil, 0, wire.PeerAway, 0
	}
	if e.err != nil {
		return nil, 0, wire.NoConnection, 0
	}
	if !e.connected() {
		return nil, 0, wire.PeerAway, 0
	}
	if room, _ := wire.MetadataRoom(e.mime); int64(r.MetaRoom) < int64(room) {
		return nil, 0, wire.MetadataTooBig, uint32(room)
	}
	chunk = int(e.stream.QoS().ChunkSize)
	if chunk == 0 || chunk > c.s.cfg.MaxChunk { // the peer's KME takes larger ones than this
		return nil, 0, wire.NoConnection, 0
	}
	return e, chunk, wire.OK, 0
}

// acquire waits for this end's turn and for room in memory.
func (e *end) acquire(ctx context.Context, s *Server, chunk int) error {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.room.Acquire(ctx, int64(answerSize(chunk))); err != nil {
		<-e.turn
		return err
	}
	return nil
}

func (e *end) release(s *Server, chunk int) {
	s.room.Release(int64(answerSize(chunk)))
	<-e.turn
}

// gave notes how far the stream was drawn.
func (e *end) gave(index uint32) {
	if n := uint64(index) + 1; n > e.next.Load() {
		e.next.Store(n) // the turn is ours
	}
}

// refusal turns an error of the supply into a status. For an index that was
// given or erased it also names the one after the last given.
func (e *end) refusal(err error, index uint32) (wire.Status, uint32) {
	switch qsc.KindOf(err) {
	case qsc.Exhausted:
		return wire.Insufficient, index
	case qsc.NotFound:
		return wire.Insufficient, uint32(min(max(uint64(index), e.next.Load()), 1<<32-1))
	case qsc.Unreachable:
		return wire.PeerAway, index
	case qsc.Timeout:
		return wire.TimedOut, index
	}
	return wire.NoConnection, index
}

// class is the power of two that a chunk fits in.
func class(chunk int) int { return bits.Len(uint(chunk - 1)) }

// answerSize is the memory that an answer with a chunk takes.
func answerSize(chunk int) int {
	room, _ := wire.MetadataRoom(wire.QSC)
	return wire.GetOverhead + 1<<class(chunk) + room
}

// pools keep wiped buffers for answers, by class.
type pools [32]sync.Pool

func (p *pools) take(chunk int) *[]byte {
	if b, ok := p[class(chunk)].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, answerSize(chunk))
	return &b
}

// give wipes what an answer has used of b.
func (p *pools) give(b *[]byte, chunk int) {
	clear((*b)[:wire.KeyAt+chunk])
	p[class(chunk)].Put(b)
}
