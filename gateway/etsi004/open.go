package etsi004

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// open serves OPEN_CONNECT.
func (c *conn) open(r wire.OpenRequest) wire.OpenResponse {
	app, peer, err := c.parties(r)
	if err != nil {
		c.s.cfg.Logger.Info("ETSI 004 OPEN_CONNECT refused", "app", c.apps[0], "err", err)
		return wire.OpenResponse{Status: wire.NoConnection, QoS: r.QoS, ID: r.ID}
	}
	if q, ok := c.s.possible(r.QoS); !ok {
		return wire.OpenResponse{Status: wire.QoSNotMet, QoS: q, ID: r.ID}
	}
	e, mine, status := c.s.place(app, peer, r)
	if status != wire.OK {
		return wire.OpenResponse{Status: status, QoS: r.QoS, ID: r.ID}
	}
	if mine {
		return c.begin(e, r)
	}
	return c.again(e, r)
}

// parties returns who opens with whom. The source is a name of the caller's
// certificate.
func (c *conn) parties(r wire.OpenRequest) (app, peer qsc.AppID, err error) {
	if app, err = AppOf(r.Source); err != nil {
		return "", "", err
	}
	if !slices.Contains(c.apps, app) {
		return "", "", qsc.E("etsi004.Open", qsc.Denied, "", "the certificate does not name the source %q", app)
	}
	if peer, err = AppOf(r.Destination); err != nil {
		return "", "", err
	}
	if peer == app {
		return "", "", qsc.E("etsi004.Open", qsc.Invalid, "", "source and destination are both %q", app)
	}
	return app, peer, nil
}

// possible returns the nearest to q that this server can do, and whether it is q.
func (s *Server) possible(q wire.QoS) (wire.QoS, bool) {
	best := q
	if _, ok := wire.MetadataRoom(q.Mimetype); !ok {
		best.Mimetype = wire.JSON
	}
	best.ChunkSize = min(q.ChunkSize, uint32(s.cfg.MaxChunk))
	if q.MaxBps > 0 {
		best.MinBps = min(q.MinBps, q.MaxBps)
	}
	return best, best == q
}

// place finds the application's end of the stream or makes a place for it: mine
// says that the caller is to open it. A stream without an ID gets its place when
// it has one.
func (s *Server) place(app, peer qsc.AppID, r wire.OpenRequest) (e *end, mine bool, status wire.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.sae(app)
	if e := a.ends[r.ID]; e != nil && r.ID != (wire.KSID{}) {
		if e.peer != peer {
			return nil, false, wire.InUse
		}
		return e, false, wire.OK
	}
	if len(a.ends) >= s.cfg.MaxStreams {
		s.cfg.Logger.Warn("ETSI 004 OPEN_CONNECT refused: the application has too many streams", "app", app, "limit", s.cfg.MaxStreams)
		return nil, false, wire.NoConnection
	}
	e = newEnd(r.ID, app, peer)
	if r.ID != (wire.KSID{}) {
		a.ends[r.ID] = e
	}
	return e, true, wire.OK
}

// begin opens the stream at the supply.
func (c *conn) begin(e *end, r wire.OpenRequest) wire.OpenResponse {
	s := c.s
	ctx, cancel := context.WithTimeout(c.ctx, s.timeout(time.Duration(r.QoS.Timeout)*time.Millisecond))
	defer cancel()
	e.mime = r.QoS.Mimetype
	e.stream, e.err = s.cfg.Supply.OpenStream(ctx, keymgmt.StreamRequest{Source: e.app, Destination: e.peer, ID: r.ID, QoS: fromWire(r.QoS)})
	if e.err == nil {
		e.timeout = s.timeout(e.stream.QoS().Timeout)
	}
	created := r.ID == wire.KSID{}
	if created && e.err == nil {
		e.id = e.stream.ID()
		s.keep(e)
	}
	close(e.ready)
	if e.err != nil {
		s.drop(e)
		s.cfg.Logger.Info("ETSI 004 OPEN_CONNECT failed", "app", e.app, "peer", e.peer, "err", e.err)
		return refused(e.err, r)
	}
	if granted := e.qos(); !e.connected() && unmet(r.QoS, granted) {
		s.drop(e)
		return wire.OpenResponse{Status: wire.QoSNotMet, QoS: granted, ID: r.ID}
	}
	if created {
		return wire.OpenResponse{Status: c.created(e), QoS: e.qos(), ID: e.id}
	}
	status := e.wait(ctx)
	if status != wire.OK {
		s.drop(e)
		status = wire.TimedOut
	}
	return wire.OpenResponse{Status: status, QoS: e.qos(), ID: e.id}
}

// created is the status of a stream whose ID the peer cannot know yet.
func (c *conn) created(e *end) wire.Status {
	if c.s.cfg.CreatorZero || e.connected() {
		return wire.OK
	}
	return wire.NoPeerYet
}

// keep gives a stream its place once it has an ID.
func (s *Server) keep(e *end) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sae(e.app).ends[e.id] = e
}

// again serves an application that opens what it has open: it has come back, or
// it has created the stream and waits for the peer now. The stream stays open
// when the time is up.
func (c *conn) again(e *end, r wire.OpenRequest) wire.OpenResponse {
	ctx, cancel := context.WithTimeout(c.ctx, c.s.timeout(time.Duration(r.QoS.Timeout)*time.Millisecond))
	defer cancel()
	select {
	case <-e.ready:
	case <-ctx.Done():
		return wire.OpenResponse{Status: wire.TimedOut, QoS: r.QoS, ID: r.ID}
	}
	if e.err != nil {
		return refused(e.err, r)
	}
	return wire.OpenResponse{Status: e.wait(ctx), QoS: e.qos(), ID: e.id}
}

// wait waits for the peer.
func (e *end) wait(ctx context.Context) wire.Status {
	select {
	case <-e.stream.Connected():
		return wire.OK
	default:
	}
	select {
	case <-e.stream.Connected():
		return wire.OK
	case <-e.ctx.Done():
		return wire.TimedOut
	case <-ctx.Done():
		return wire.NoPeerYet
	}
}

// timeout bounds the time of a call; zero is the default.
func (s *Server) timeout(d time.Duration) time.Duration {
	return min(cmp.Or(d, s.cfg.Timeout), s.cfg.MaxTimeout)
}

// refused is the answer to a stream that the supply did not open. Where it takes
// the quality for impossible, the counter-proposal leaves the choice to the KME.
func refused(err error, r wire.OpenRequest) wire.OpenResponse {
	o := wire.OpenResponse{Status: wire.NoConnection, QoS: r.QoS, ID: r.ID}
	switch qsc.KindOf(err) {
	case qsc.Busy, qsc.Exists:
		o.Status = wire.InUse
	case qsc.Timeout:
		o.Status = wire.TimedOut
	case qsc.Invalid:
		o.Status = wire.QoSNotMet
		o.QoS.ChunkSize, o.QoS.MaxBps, o.QoS.MinBps, o.QoS.Jitter = 0, 0, 0, 0
	}
	return o
}

// unmet reports whether what was granted falls short of what was asked for.
func unmet(asked, granted wire.QoS) bool {
	return asked.ChunkSize != 0 && granted.ChunkSize != asked.ChunkSize ||
		granted.MinBps < asked.MinBps ||
		asked.TTL != 0 && granted.TTL != 0 && granted.TTL < asked.TTL
}

func fromWire(q wire.QoS) keymgmt.QoS {
	return keymgmt.QoS{ChunkSize: q.ChunkSize, MaxRate: qsc.BitRate(q.MaxBps), MinRate: qsc.BitRate(q.MinBps), Jitter: qsc.BitRate(q.Jitter),
		Priority: q.Priority, Timeout: time.Duration(q.Timeout) * time.Millisecond, TTL: time.Duration(q.TTL) * time.Second}
}

// qos is what the stream has been granted, in the words of the wire.
func (e *end) qos() wire.QoS {
	q := e.stream.QoS()
	return wire.QoS{ChunkSize: q.ChunkSize, MaxBps: clamp(float64(q.MaxRate)), MinBps: clamp(float64(q.MinRate)), Jitter: clamp(float64(q.Jitter)),
		Priority: q.Priority, Timeout: clamp(float64(e.timeout.Milliseconds())), TTL: clamp(math.Ceil(q.TTL.Seconds())), Mimetype: e.mime}
}

func clamp(v float64) uint32 { return uint32(min(max(0, v), math.MaxUint32)) }
