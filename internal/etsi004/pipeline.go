package etsi004

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
)

// Pipeline asks for the chunks of a stream in rising order, several at a time:
// the profile answers in order, so that the line is never idle for a round trip.
// It is used by one goroutine and has the client to itself until it is drained.
type Pipeline struct {
	c     *Client
	id    KSID
	room  uint32
	depth uint32
	asked uint32 // next index to ask for
	next  uint32 // next index to be answered
	end   uint32 // index to stop before
	batch []byte
}

// MaxDepth bounds the requests of a pipeline that are under way: a KME takes at
// least so many before it answers one.
const MaxDepth = 16

// Pipeline asks for chunks first to end-1, depth of them ahead; room is that of
// GetRequest.
func (c *Client) Pipeline(id KSID, first, end, room uint32, depth int) *Pipeline {
	return &Pipeline{c: c, id: id, room: room, asked: first, next: first, end: max(first, end), depth: uint32(min(max(1, depth), MaxDepth))}
}

// Next reads the next chunk into dst and returns its index. After a refusal,
// whose error wraps a *StatusError, the pipeline goes on with the next index;
// errors of the connection end it. Error NotFound when all were asked for.
func (p *Pipeline) Next(ctx context.Context, dst []byte) (uint32, Metadata, error) {
	if p.next == p.end {
		return p.next, Metadata{}, qsc.E("etsi004.Next", qsc.NotFound, "", "all chunks of the pipeline were delivered")
	}
	end, err := p.c.begin(ctx)
	if err != nil {
		return p.next, Metadata{}, err
	}
	defer end()
	if err := p.ask(); err != nil {
		return p.next, Metadata{}, p.c.broke(ctx, err)
	}
	index := p.next
	p.next++
	m, err := p.c.receive(ctx, index, dst)
	return index, m, err
}

// ask fills the line once it is half empty.
func (p *Pipeline) ask() error {
	if under := p.asked - p.next; under > 0 && under > p.depth/2 {
		return nil
	}
	p.batch = p.batch[:0]
	for ; p.asked < p.end && p.asked-p.next < p.depth; p.asked++ {
		p.batch = AppendGetRequest(p.batch, GetRequest{p.id, p.asked, p.room})
	}
	if len(p.batch) == 0 {
		return nil
	}
	_, err := p.c.conn.Write(p.batch)
	return err
}
