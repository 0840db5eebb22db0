package etsi004

import (
	"context"
	"errors"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
)

// worker holds the connection to the KME and draws one block after the other.
type worker struct {
	l      *Link
	client *wire.Client
	opened bool
	mime   string // of the metadata the KME agreed to
}

func (w *worker) run() {
	w.mime = wire.QSC
	defer w.hangUp()
	for {
		select {
		case seq := <-w.l.jobs:
			r := w.draw(seq)
			if r.err != nil && w.l.ctx.Err() == nil {
				w.l.alarm(r.err.Error(), 0)
			}
			w.l.done <- r // has room: one job at a time
		case <-w.l.ctx.Done():
			return
		}
	}
}

func (w *worker) hangUp() {
	if w.client != nil {
		_ = w.client.Close()
	}
	w.client, w.opened = nil, false
}

// draw connects, opens and gets, as far as that is not done yet.
func (w *worker) draw(seq uint64) result {
	if seq >= maxSeq {
		return result{seq: seq, err: w.fail(qsc.Exhausted, errors.New("the stream's index has come to its end: provision the link anew"))}
	}
	for !w.opened {
		if err := w.open(); err != nil {
			return result{seq: seq, next: seq, err: err}
		}
	}
	ctx, cancel := context.WithTimeout(w.l.ctx, 2*w.l.cfg.Timeout)
	defer cancel()
	key := make([]byte, w.l.cfg.Block)
	m, err := w.client.Get(ctx, wire.GetRequest{ID: w.l.cfg.Stream, Index: uint32(seq), MetaRoom: wire.MaxMeta}, key)
	if err == nil {
		class := qsc.ITS
		if m.Known {
			class = m.Class
		}
		w.l.alarm("", class)
		return result{seq: seq, key: key, from: class}
	}
	clear(key)
	return w.refusal(seq, err)
}

// refusal says what an error of GET_KEY means: a dry source, a stream to be
// opened again or a KME that is gone.
func (w *worker) refusal(seq uint64, err error) result {
	r := result{seq: seq, next: seq}
	var e *wire.StatusError
	if !errors.As(err, &e) {
		w.hangUp()
		r.err = w.fail(qsc.Unreachable, err)
		return r
	}
	switch e.Status {
	case wire.Insufficient:
		r.next = max(seq, uint64(e.Index))
		w.l.alarm("the key source has no key for this link now", 0)
	case wire.TimedOut:
		r.late = true
	default:
		w.opened = false
		r.err = w.fail(qsc.Unreachable, err)
	}
	return r
}

func (w *worker) fail(kind qsc.Kind, err error) error {
	return qsc.E("etsi004.Next", kind, string(w.l.cfg.Link), "key source %s: %w", w.l.cfg.Addr, err)
}

// open connects and calls OPEN_CONNECT, which waits for the other end. A KME that
// does not know our mimetype is asked with the standard's, or with its own.
func (w *worker) open() error {
	ctx, cancel := context.WithTimeout(w.l.ctx, 2*w.l.cfg.Timeout)
	defer cancel()
	var err error
	if w.client == nil || w.client.Broken() != nil {
		w.hangUp()
		if w.client, err = wire.Dial(ctx, w.l.cfg.Addr, w.l.cfg.TLS); err != nil {
			w.client = nil
			return w.fail(qsc.Unreachable, err)
		}
	}
	o, err := w.client.Open(ctx, w.request())
	status, known := wire.StatusOf(err)
	switch {
	case err == nil && o.QoS.ChunkSize != uint32(w.l.cfg.Block):
		_ = w.client.CloseStream(ctx, w.l.cfg.Stream) // nothing of it was drawn
		return w.fail(qsc.Conflict, qsc.E("open", qsc.Conflict, "", "the stream has chunks of %d bytes, the link has blocks of %d: set both ends alike", o.QoS.ChunkSize, w.l.cfg.Block))
	case err == nil:
		w.opened = true
		return nil
	case known && status == wire.QoSNotMet && w.mime == wire.QSC && o.QoS.Mimetype != wire.QSC:
		w.mime = o.QoS.Mimetype
		if w.mime != "" {
			w.mime = wire.JSON
		}
		return nil // the caller tries again
	case known && status == wire.QoSNotMet:
		return w.fail(qsc.Unsupported, qsc.E("open", qsc.Unsupported, "", "it offers chunks of %d bytes and at least %d bit/s: %w", o.QoS.ChunkSize, o.QoS.MinBps, err))
	}
	return w.fail(qsc.Unreachable, err)
}

func (w *worker) request() wire.OpenRequest {
	c := &w.l.cfg
	return wire.OpenRequest{Source: c.Source, Destination: c.Destination, ID: c.Stream, QoS: wire.QoS{
		ChunkSize: uint32(c.Block), MinBps: uint32(min(max(0, float64(c.Rate)), 1<<32-1)), Timeout: uint32(c.Timeout / time.Millisecond),
		TTL: uint32(c.TTL / time.Second), Mimetype: w.mime,
	}}
}
