package supply

import (
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Messages of TopicOpen.
const (
	openState   = 1 + iota // one end of an application stream, as it is now
	openRefused            // no such stream can be here, and why
)

func appendQoS(w *wire.Writer, q keymgmt.QoS) {
	w.U32(q.ChunkSize).U64(uint64(q.MaxRate)).U64(uint64(q.MinRate)).U64(uint64(q.Jitter)).U32(q.Priority).U64(uint64(q.Timeout)).U64(uint64(q.TTL))
}

func readQoS(r *wire.Reader) keymgmt.QoS {
	return keymgmt.QoS{ChunkSize: r.U32(), MaxRate: qsc.BitRate(r.U64()), MinRate: qsc.BitRate(r.U64()), Jitter: qsc.BitRate(r.U64()),
		Priority: r.U32(), Timeout: time.Duration(r.U64()), TTL: time.Duration(r.U64())}
}

// announcement is an openState as it came. It is sent at every change and again
// until the peer has seen it; the newest counts.
type announcement struct {
	desc          streamDesc // role is the sender's
	open, closed  bool
	version, seen uint64
}

func parseAnnouncement(body []byte) (m announcement, err error) {
	r := wire.NewReader(body)
	r.U8()
	m.desc = *parseDesc(r)
	m.open, m.closed, m.version, m.seen = r.U8() != 0, r.U8() != 0, r.U64(), r.U64()
	if err = r.Done(); err != nil {
		return m, err
	}
	d := &m.desc
	if d.role > slave || d.purpose != forApp || d.size < unit || d.size%unit != 0 || d.qos.ChunkSize == 0 || d.qos.TTL < 0 ||
		len(d.source) > 1024 || len(d.dest) > 1024 || d.prot != normal(d.prot) || d.prot.Paths > keymgmt.MaxPaths {
		return m, qsc.E("supply.Told", qsc.Invalid, "", "an announcement that makes no sense")
	}
	return m, nil
}

// announce tells the other node of this end.
func (s *Supply) announce(st *stream) {
	s.mu.Lock()
	if st.dropped {
		s.mu.Unlock()
		return
	}
	a := st.app
	st.sync.at = s.cfg.Now()
	w := wire.Writer{B: []byte{openState}}
	w.B = st.append(w.B)
	w.U8(flag(a.open)).U8(flag(a.closed)).U64(a.version).U64(a.peerVersion)
	s.mu.Unlock()
	s.tell(st.peer, keymgmt.TopicOpen, w.B)
}

// takeOpen acts on a message of TopicOpen.
func (s *Supply) takeOpen(from qsc.NodeID, body []byte) {
	if body[0] == openRefused {
		s.takeRefused(from, body)
		return
	}
	m, err := parseAnnouncement(body)
	if err != nil || body[0] != openState {
		return
	}
	s.mu.Lock()
	st, why, round := s.counterpart(from, &m)
	if st == nil {
		s.mu.Unlock()
		if round != nil && s.j.wait(round) != nil || why == "" {
			return
		}
		w := wire.Writer{}
		w.U8(openRefused).U8(uint8(m.desc.role)).Raw(m.desc.id[:]).Text(why)
		s.tell(from, keymgmt.TopicOpen, w.B)
		return
	}
	reply := s.meet(st, &m)
	s.mu.Unlock()
	if round != nil && s.j.wait(round) != nil {
		return
	}
	if reply {
		s.announce(st)
	}
	s.mu.Lock()
	s.endIfClosed(st)
	s.mu.Unlock()
}

// counterpart finds this node's end for an announcement, or begins it. nil: why
// says what to answer, "" nothing. mu is held.
func (s *Supply) counterpart(from qsc.NodeID, m *announcement) (st *stream, why string, round *round) {
	d := &m.desc
	st = s.streams[streamKey{1 - d.role, d.id}]
	switch {
	case st != nil && (st.peer != from || st.source != d.source || st.dest != d.dest || st.purpose != forApp):
		return nil, "two other applications have this stream", nil
	case st != nil:
		return st, "", nil
	case d.role == slave:
		return nil, "this node does not lead a stream of this identifier", nil
	case m.closed:
		return nil, "the stream is over", nil
	}
	if own := s.streams[streamKey{master, d.id}]; own != nil && from != s.cfg.Node {
		// Both opened it at once: the node of the lesser name leads.
		if own.app == nil || own.peer != from || own.app.established || s.cfg.Node < from || own.source != d.dest || own.dest != d.source {
			return nil, "", nil
		}
		return s.yieldTo(own, d)
	}
	st, why, round = s.follower(from, *d)
	return st, why, round
}

// yieldTo makes this node, which has given nothing of the stream yet, the other's
// slave. Its application stays. mu is held.
func (s *Supply) yieldTo(own *stream, d *streamDesc) (*stream, string, *round) {
	open, connected := own.app.open, own.app.connected
	peer := own.peer
	st, why, round := s.follower(peer, *d)
	if st == nil {
		return nil, why, nil
	}
	st.app.open, st.app.connected = open, connected
	own.heir = st
	s.drop(own, "")
	return st, "", round
}

// follower begins the slave's end. mu is held.
func (s *Supply) follower(from qsc.NodeID, d streamDesc) (*stream, string, *round) {
	home, _ := s.cfg.Directory.Home(d.dest)
	there, _ := s.cfg.Directory.Home(d.source)
	_, ok := s.cfg.Directory.Allowed(d.source, d.dest)
	if !ok {
		_, ok = s.cfg.Directory.Allowed(d.dest, d.source)
	}
	switch {
	case home != s.cfg.Node || there != from || !ok:
		return nil, "the applications are not allowed this stream, or are not at these nodes", nil
	case s.closed || s.countApps() >= maxApps:
		return nil, "too many streams are open", nil
	case int(d.size) > s.cfg.Chunk:
		return nil, "its segments are larger than this node's: set the same sizes at all nodes", nil
	}
	d.role, d.peer = slave, from
	st, round := s.found(d)
	st.app.version = s.boot
	return st, "", round
}

// meet takes what an announcement says into this node's end. It reports whether
// the other end should hear of this one. mu is held.
func (s *Supply) meet(st *stream, m *announcement) (reply bool) {
	a := st.app
	a.peerSaw = max(a.peerSaw, min(m.seen, a.version))
	if st.role == master && !a.established {
		a.established = true
		st.notify()
		wake(s.poke)
	}
	reply = m.seen != a.version
	if m.version > a.peerVersion {
		a.peerVersion, a.peerOpen, a.peerClosed = m.version, m.open, m.closed
		s.connect(st)
		reply = true
	}
	return reply
}

// takeRefused ends what the other node refuses.
func (s *Supply) takeRefused(from qsc.NodeID, body []byte) {
	r := wire.NewReader(body)
	r.U8()
	side, id, why := role(r.U8()), r.Array16(), r.Text()
	if r.Done() != nil || side > slave || len(why) > 256 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[streamKey{side, id}]
	if st == nil || st.app == nil || st.peer != from {
		return
	}
	st.app.refused = why
	s.drop(st, "")
}
