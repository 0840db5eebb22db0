package distill

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

const (
	beat     = time.Second      // an end says at least so often that it is alive
	silence  = 10 * time.Second // after which the other end is gone
	patience = 30 * time.Second // for one write
	queued   = 16               // messages that wait for this end, ...
	keep     = 8                // ... and buffers kept for reuse
)

// frame is a message that has arrived.
type frame struct {
	header
	body []byte
	err  error // instead: the connection's end
}

// conn is a connection between the ends and the Wire of its rounds. One goroutine
// sends and receives; others read ahead and say that this end is alive.
type conn struct {
	c    net.Conn
	in   chan frame
	free chan []byte
	done chan struct{}
	once sync.Once
	jobs sync.WaitGroup

	write  sync.Mutex
	head   [frameHead]byte
	vec    [2][]byte
	wrote  atomic.Int64 // bytes
	round  uint64
	out    *uhash.Hash // what this end has said in the round
	heard  *uhash.Hash // what the other has
	said   int64       // bytes in both transcripts
	last   []byte      // handed out by the last Receive
	tamper *atomic.Uint64
}

// newConn takes c over. tamper is the probability, in units of 2⁻³², that a
// received message is changed: the simulated attacker's.
func newConn(c net.Conn, tamper *atomic.Uint64) *conn {
	k := &conn{c: c, in: make(chan frame, queued), free: make(chan []byte, keep), done: make(chan struct{}), tamper: tamper}
	k.jobs.Go(k.read)
	k.jobs.Go(k.alive)
	return k
}

// close ends the connection and waits for its goroutines.
func (k *conn) close() {
	k.once.Do(func() { close(k.done); _ = k.c.Close() })
	k.jobs.Wait()
}

// begin starts the transcripts of a round.
func (k *conn) begin(round uint64, out, heard *uhash.Hash) {
	k.round, k.out, k.heard, k.said = round, out, heard, 0
}

// read reads ahead, so that two ends that send at once do not wait for each other.
func (k *conn) read() {
	for {
		_ = k.c.SetReadDeadline(time.Now().Add(silence))
		h, body, err := readFrame(k.c, k.buffer)
		if err == nil && h.typ == typeIdle {
			k.recycle(body)
			continue
		}
		if err != nil {
			err = lost(err)
		}
		select {
		case k.in <- frame{h, body, err}:
		case <-k.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// lost gives a broken connection its kind.
func lost(err error) error {
	var q *qsc.Error
	if errors.As(err, &q) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return qsc.E("distill.Receive", qsc.Unreachable, "", "the other end has closed the connection")
	}
	return qsc.E("distill.Receive", qsc.Unreachable, "", "%w", err)
}

func (k *conn) buffer(n int) []byte {
	select {
	case b := <-k.free:
		if cap(b) >= n {
			return b[:n]
		}
	default:
	}
	return make([]byte, n, max(n, 1<<10))
}

func (k *conn) recycle(b []byte) {
	select {
	case k.free <- b:
	default:
	}
}

// alive tells the other end that this one is there.
func (k *conn) alive() {
	t := time.NewTicker(beat)
	defer t.Stop()
	last := int64(-1)
	for {
		select {
		case <-k.done:
			return
		case <-t.C:
		}
		if now := k.wrote.Load(); now != last {
			last = now
			continue
		}
		if k.put(header{typ: typeIdle}, nil) != nil {
			return // the reader tells
		}
		last = k.wrote.Load()
	}
}

// put writes one frame.
func (k *conn) put(h header, body []byte) error {
	k.write.Lock()
	defer k.write.Unlock()
	k.head = h.encode()
	_ = k.c.SetWriteDeadline(time.Now().Add(patience))
	k.vec = [2][]byte{k.head[:], body}
	v := net.Buffers(k.vec[:])
	n, err := v.WriteTo(k.c)
	k.wrote.Add(n)
	if err != nil {
		return qsc.E("distill.Send", qsc.Unreachable, "", "%w", err)
	}
	return nil
}

// Send implements Wire.
func (k *conn) Send(ctx context.Context, typ byte, msg []byte) error {
	if len(msg) > MaxMessage {
		return qsc.E("distill.Send", qsc.Invalid, "", "a message of %d bytes: send it in parts", len(msg))
	}
	if ctx.Err() != nil {
		return ended(ctx, "distill.Send")
	}
	h := header{len(msg), typ, k.round}
	if k.out != nil {
		k.absorb(k.out, h, msg)
	}
	err := k.put(h, msg)
	if err != nil {
		err = k.lastWords(err)
	}
	return err
}

// ended is the error of a context that is over.
func ended(ctx context.Context, op string) error {
	cause := context.Cause(ctx)
	var q *qsc.Error
	if errors.As(cause, &q) {
		return cause
	}
	return qsc.E(op, qsc.Timeout, "", "%w", cause)
}

// lastWords looks whether the other end has said why it went.
func (k *conn) lastWords(err error) error {
	for {
		select {
		case f := <-k.in:
			if f.err == nil && f.typ == typeAbort {
				return told(f.body)
			}
			if f.err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// told is the error of the other end, as far as it may be believed.
func told(body []byte) error {
	kind := parseAbort(body)
	return qsc.E("distill", kind, "", "the other end gave the round up: see its alarm and log")
}

// absorb takes a message into a transcript.
func (k *conn) absorb(t *uhash.Hash, h header, body []byte) {
	b := h.encode()
	k.said += int64(len(b) + len(body))
	t.Write(b[:])
	t.Write(body)
}

// Receive implements Wire. Messages of other rounds are Replayed.
func (k *conn) Receive(ctx context.Context, typ byte, max int) ([]byte, error) {
	if k.last != nil {
		k.recycle(k.last)
		k.last = nil
	}
	var f frame
	select {
	case f = <-k.in:
	default:
		select {
		case f = <-k.in:
		case <-ctx.Done():
			return nil, ended(ctx, "distill.Receive")
		}
	}
	if f.err != nil {
		k.in <- f // there is room: nothing is read behind it
		return nil, f.err
	}
	k.last = f.body
	return k.check(f, typ, max)
}

// hear receives a message and takes it apart.
func hear[T any](ctx context.Context, k *conn, typ byte, most int, parse func([]byte) (T, error)) (m T, err error) {
	b, err := k.Receive(ctx, typ, most)
	if err != nil {
		return m, err
	}
	return parse(b)
}

// check takes a message into the transcript and says what is wrong with it.
func (k *conn) check(f frame, typ byte, max int) ([]byte, error) {
	if p := k.tamper.Load(); p > 0 && len(f.body) > 0 && f.typ != typeAbort && uint64(rand.Uint32()) < p {
		f.body[rand.IntN(len(f.body))] ^= 1 << rand.IntN(8)
	}
	switch {
	case f.typ == typeAbort:
		return nil, told(f.body)
	case f.round < k.round:
		return nil, qsc.E("distill.Receive", qsc.Replayed, "", "a message of round %d came in round %d: somebody repeats old messages", f.round, k.round)
	case f.typ != typ || len(f.body) > max || f.round != k.round:
		return nil, corrupt("message of type %#x, round %d and %d bytes, not of type %#x, round %d and at most %d", f.typ, f.round, len(f.body), typ, k.round, max)
	}
	if k.heard != nil && typ != typeTag {
		k.absorb(k.heard, f.header, f.body)
	}
	return f.body, nil
}

// sendTag sends this end's tag, which is in no transcript.
func (k *conn) sendTag(m tag) error {
	return k.put(header{tagSize, typeTag, k.round}, m.encode())
}

// abort tells the other end why this one gives up and waits a moment until it has
// gone, for a connection that is reset takes its last words along.
func (k *conn) abort(kind qsc.Kind) {
	if k.put(header{1, typeAbort, k.round}, []byte{byte(kind)}) == nil {
		t := time.NewTimer(250 * time.Millisecond)
		defer t.Stop()
		for open := true; open; {
			select {
			case f := <-k.in:
				open = f.err == nil && f.typ != typeAbort
			case <-t.C:
				open = false
			}
		}
	}
	k.close()
}
