package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// A connection begins with a preface in clear, so that a port scan costs no key:
//
//	end A → B   "QSC1", link name (16-bit length, bytes)
//	end B → A   "QSC1", 1 byte: 0 go on, otherwise a qsc.Kind; 8 bytes: where the
//	            last handshake slot ended that B received from A
//
// A does not go on where B has seen slots beyond its own: its ledger is then an
// old copy, and its slots have served. (A forged answer only keeps A from going
// on while the forger is there.)
//
// Then each end sends one hello under one control slot, A first. A slot serves
// once in its life, durably, so a hello cannot be replayed.
const (
	preface      = "QSC1"
	maxLinkName  = 64
	handshakeMax = 10 * time.Second
	helloVersion = 2 // 1: had no public messages
	helloSize    = keymgmt.SlotSize - otp.KeyOverhead
)

// hello is what one end tells the other at every connection.
type hello struct {
	session  [16]byte // A: the session to take up or to begin; B: the one agreed on
	resume   bool     // A: wants to take it up; B: does
	received uint64   // number of the next frame expected
	oldest   uint64   // pad position of the oldest frame kept for sending again
	kept     bool     // whether there is such a frame
	marks    keymgmt.Marks
}

func (h *hello) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, helloSize)}
	w.U16(helloVersion).Raw(h.session[:]).U8(flag(h.resume) | flag(h.kept)<<1).U64(h.received).U64(h.oldest)
	w.U32(h.marks.Epoch)
	for _, l := range h.marks.Lanes {
		w.U64(l.Floor).U64(l.Pos).U64(l.Next).U8(flag(l.More)).U8(uint8(len(l.Blocks)))
		for _, r := range l.Blocks {
			w.U64(r.First).U64(r.Last)
		}
	}
	return append(w.B, make([]byte, helloSize-len(w.B))...)
}

func parseHello(b []byte) (hello, error) {
	r := wire.NewReader(b)
	var h hello
	if v := r.U16(); v != helloVersion {
		return h, qsc.E("transport.hello", qsc.Unsupported, "", "the peer speaks version %d, this node %d: bring both to one release", v, helloVersion)
	}
	h.session = r.Array16()
	flags := r.U8()
	h.resume, h.kept = flags&1 != 0, flags&2 != 0
	h.received, h.oldest = r.U64(), r.U64()
	h.marks.Epoch = r.U32()
	for i := range h.marks.Lanes {
		parseLane(r, &h.marks.Lanes[i])
	}
	return h, r.Err()
}

func parseLane(r *wire.Reader, l *keymgmt.LaneMarks) {
	l.Floor, l.Pos, l.Next, l.More = r.U64(), r.U64(), r.U64(), r.U8() != 0
	n := int(r.U8())
	if n > keymgmt.MaxRanges {
		r.Take(-1) // a fault
		return
	}
	for range n {
		l.Blocks = append(l.Blocks, keymgmt.Range{First: r.U64(), Last: r.U64()})
	}
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// sendHello offers to carry s under one control slot. The slot comes first, so
// that the marks tell of it.
func (l *link) sendHello(ctx context.Context, conn io.Writer, s *session, resume bool) error {
	pad, err := l.cfg.Ledger.Reserve(ctx, keymgmt.Control, keymgmt.SlotSize, keymgmt.SlotSize)
	if err != nil {
		return err
	}
	h := l.offer(s, resume)
	frame := make([]byte, otp.Overhead+helloSize)
	if err := otp.Seal(frame, &pad, h.encode()); err != nil {
		return err
	}
	_, err = conn.Write(frame)
	return err
}

func (l *link) recvHello(ctx context.Context, conn io.Reader) (hello, error) {
	frame, err := readFrame(conn, make([]byte, otp.Overhead+helloSize))
	if err != nil {
		return hello{}, err
	}
	h, err := otp.ParseHeader(frame)
	if err != nil {
		return hello{}, err
	}
	if h.Lane != keymgmt.RecvControl(l.cfg.End) || h.Clear {
		return hello{}, qsc.E("transport.hello", qsc.Invalid, string(l.cfg.ID), "handshake on lane %d, in clear: %v", h.Lane, h.Clear)
	}
	body, _, err := l.open(ctx, frame)
	if err != nil {
		return hello{}, err
	}
	return parseHello(body)
}

// greet is A's half of the preface.
func (l *link) greet(conn net.Conn) error {
	id := l.cfg.ID
	w := wire.Writer{}
	w.Raw([]byte(preface)).Text(string(id))
	if _, err := conn.Write(w.B); err != nil {
		return err
	}
	var answer [len(preface) + 9]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if !bytes.HasPrefix(answer[:], []byte(preface)) {
		return qsc.E("transport.Dial", qsc.Invalid, string(id), "what answers there is no node of ours")
	}
	if k := qsc.Kind(answer[len(preface)]); k != 0 {
		return qsc.E("transport.Dial", k, string(id), "the peer refuses the link: its network description or its state differs")
	}
	seen := binary.BigEndian.Uint64(answer[len(preface)+1:])
	if next := l.cfg.Ledger.Marks().Lanes[keymgmt.SendControl(0)].Pos; seen > next {
		return qsc.E("transport.Dial", qsc.Conflict, string(id), "the peer has seen later handshakes than this node's key ledger knows of: the ledger is a restored copy, and its pads may have served: stop both nodes, remove links/%s below both their directories, and start anew", id)
	}
	return nil
}

// readPreface is the first part of B's half: it returns the link's name.
func readPreface(conn io.Reader) (qsc.LinkID, error) {
	var head [len(preface) + 2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return "", err
	}
	n := int(head[len(preface)])<<8 | int(head[len(preface)+1])
	if !bytes.HasPrefix(head[:], []byte(preface)) || n > maxLinkName {
		return "", qsc.E("transport.Accept", qsc.Invalid, "", "a stranger called: no QSC preface")
	}
	name := make([]byte, n)
	_, err := io.ReadFull(conn, name)
	return qsc.LinkID(name), err
}

// answerPreface is the second part of B's half; l is nil where it refuses.
func answerPreface(conn io.Writer, k qsc.Kind, l *link) error {
	w := wire.Writer{}
	w.Raw([]byte(preface)).U8(uint8(k))
	seen := uint64(0)
	if l != nil {
		seen = l.cfg.Ledger.Marks().Lanes[keymgmt.RecvControl(1)].Pos
	}
	_, err := conn.Write(w.U64(seen).B)
	return err
}

// offer is our hello, with the state of the session we would take up.
func (l *link) offer(s *session, resume bool) hello {
	h := hello{session: s.id, resume: resume, received: s.received(), marks: l.cfg.Ledger.Marks()}
	h.oldest, h.kept = s.oldest()
	return h
}

// settle burns what the two ends do not agree on. In a session taken up again
// the peer's frames start at its oldest kept one, not at its ledger's position.
func (l *link) settle(peer hello, resume bool) error {
	m := peer.marks
	if lane := keymgmt.RecvData(l.cfg.End); resume && peer.kept {
		m.Lanes[lane].Floor = min(m.Lanes[lane].Floor, peer.oldest)
	}
	return l.cfg.Ledger.Reconcile(m)
}

func newSessionID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // an identifier, not a secret; never fails
	return id
}
