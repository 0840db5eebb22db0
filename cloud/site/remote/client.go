// Package remote is the room of cloud.Site that lies at a neighbour: a client
// that speaks to the neighbour's site over transport, and the handlers that
// serve a local site to neighbours.
//
// It checks no tag and keeps no byte; who a share belongs to is what the
// channel's pads prove, never what a request says.
package remote

import (
	"context"
	"io"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/transport"
)

// Site is a neighbour's site.
type Site struct {
	id    qsc.SiteID
	node  qsc.NodeID
	owner qsc.NodeID
	net   transport.Caller
}

// New returns the site that runs at a neighbour. owner is this node.
func New(id qsc.SiteID, node, owner qsc.NodeID, net transport.Caller) *Site {
	return &Site{id, node, owner, net}
}

// ID implements cloud.Site.
func (s *Site) ID() qsc.SiteID { return s.id }

func (s *Site) call(ctx context.Context, m transport.Method, head []byte) (*transport.Stream, error) {
	return s.net.Call(ctx, s.node, m, head)
}

// ask is a request with one answer.
func (s *Site) ask(ctx context.Context, m transport.Method, head []byte) (*wire.Reader, error) {
	st, err := s.call(ctx, m, head)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	if err := st.End(); err != nil {
		return nil, err
	}
	msg, err := st.Recv()
	if err != nil {
		return nil, unexpected(err)
	}
	return wire.NewReader(append([]byte(nil), msg...)), nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return qsc.E("remote", qsc.Corrupt, "", "the site ended without an answer")
	}
	return err
}

func encodeRef(w *wire.Writer, r cloud.Ref) *wire.Writer { return w.Raw(r.Object[:]).U64(r.Version) }

// Create implements cloud.Site.
func (s *Site) Create(ctx context.Context, ref cloud.Ref) (cloud.PieceWriter, error) {
	if err := ref.Check("remote.Create"); err != nil {
		return nil, err
	}
	st, err := s.call(ctx, transport.SiteCreate, encodeRef(&wire.Writer{}, ref).B)
	if err != nil {
		return nil, err
	}
	return &writer{st: st}, nil
}

// writer sends pieces, then the metadata piece behind a mark, then waits for
// the receipt.
type writer struct {
	st    *transport.Stream
	ended bool // committed or aborted
}

// What a message of SiteCreate holds, in its first byte.
const (
	msgPiece  = 1
	msgCommit = 2
)

// Write implements cloud.PieceWriter. A malformed piece is refused on this side.
func (w *writer) Write(piece []byte) error {
	if err := w.open("remote.Write"); err != nil {
		return err
	}
	if err := cloud.CheckPiece("remote.Write", piece); err != nil {
		return err
	}
	return w.st.Send([]byte{msgPiece}, piece)
}

// Commit implements cloud.PieceWriter.
func (w *writer) Commit(meta []byte) error {
	if err := w.open("remote.Commit"); err != nil {
		return err
	}
	if err := cloud.CheckMeta("remote.Commit", meta); err != nil {
		return err
	}
	w.ended = true
	defer w.st.Close()
	if err := w.st.Send([]byte{msgCommit}, meta); err != nil {
		return err
	}
	if err := w.st.End(); err != nil {
		return err
	}
	_, err := w.st.Recv() // an empty receipt
	return unexpected(err)
}

// Abort implements cloud.PieceWriter.
func (w *writer) Abort() error {
	w.ended = true
	return w.st.Close()
}

func (w *writer) open(op string) error {
	if w.ended {
		return qsc.E(op, qsc.Invalid, string(w.st.Peer()), "the share was committed or given up before")
	}
	return nil
}

// Open implements cloud.Site.
func (s *Site) Open(ctx context.Context, ref cloud.Ref, first, count uint32) (cloud.PieceReader, error) {
	st, err := s.call(ctx, transport.SiteOpen, encodeRef(&wire.Writer{}, ref).U32(first).U32(count).B)
	if err != nil {
		return nil, err
	}
	if _, err := st.Recv(); err != nil { // an empty message: the share is there
		_ = st.Close()
		return nil, unexpected(err)
	}
	return &reader{st}, nil
}

type reader struct{ st *transport.Stream }

func (r *reader) Next() ([]byte, error) {
	msg, err := r.st.Recv()
	if err != nil {
		return nil, err
	}
	if len(msg) == 0 {
		return nil, qsc.E("remote.Next", qsc.Corrupt, string(r.st.Peer()), "the site says this piece is damaged on its disk")
	}
	return msg, nil
}

func (r *reader) Close() error { return r.st.Close() }

// Stat implements cloud.Site.
func (s *Site) Stat(ctx context.Context, ref cloud.Ref) (cloud.ShareInfo, error) {
	r, err := s.ask(ctx, transport.SiteStat, encodeRef(&wire.Writer{}, ref).B)
	if err != nil {
		return cloud.ShareInfo{}, err
	}
	return decodeInfo(r, s.owner)
}

// List implements cloud.Site.
func (s *Site) List(ctx context.Context, after cloud.Ref, limit int) ([]cloud.ShareInfo, error) {
	limit, err := cloud.Page("remote.List", limit)
	if err != nil {
		return nil, err
	}
	st, err := s.call(ctx, transport.SiteList, encodeRef(&wire.Writer{}, after).U32(uint32(limit)).B)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	var all []cloud.ShareInfo
	for len(all) <= cloud.MaxList {
		msg, err := st.Recv()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		info, err := decodeInfo(wire.NewReader(append([]byte(nil), msg...)), s.owner)
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	return nil, qsc.E("remote.List", qsc.Corrupt, string(s.id), "the site sends more than was asked for")
}

// Delete implements cloud.Site.
func (s *Site) Delete(ctx context.Context, ref cloud.Ref) error {
	_, err := s.ask(ctx, transport.SiteDelete, encodeRef(&wire.Writer{}, ref).B)
	return err
}

// Status implements cloud.Site.
func (s *Site) Status(ctx context.Context) (cloud.SiteStatus, error) {
	r, err := s.ask(ctx, transport.SiteStatus, nil)
	if err != nil {
		return cloud.SiteStatus{}, err
	}
	st := cloud.SiteStatus{Shares: int64(r.U64()), Live: int64(r.U64()), Disk: int64(r.U64()), Free: int64(r.U64())}
	return st, r.Done()
}

func encodeInfo(i cloud.ShareInfo) []byte {
	return encodeRef(&wire.Writer{}, i.Ref).U32(i.Chunks).U64(uint64(i.Bytes)).Bytes(i.Meta).B
}

func decodeInfo(r *wire.Reader, owner qsc.NodeID) (cloud.ShareInfo, error) {
	i := cloud.ShareInfo{Ref: cloud.Ref{Owner: owner, Object: r.Array16(), Version: r.U64()}}
	i.Chunks, i.Bytes = r.U32(), int64(r.U64())
	i.Meta = r.Bytes(cloud.MaxMeta)
	return i, r.Done()
}
