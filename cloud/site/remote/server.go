package remote

import (
	"context"
	"io"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/transport"
)

// server serves a local site. settle is called before a receipt goes out.
type server struct {
	site   cloud.Site
	settle func(ctx context.Context, peer qsc.NodeID) error
}

// Handlers returns the handlers by which neighbours reach site. settle, if not
// nil, is called after a share is durable and before its receipt is sent, so
// that the pads that carried it are erased by then.
func Handlers(site cloud.Site, settle func(context.Context, qsc.NodeID) error) map[transport.Method]transport.Handler {
	s := &server{site, settle}
	return map[transport.Method]transport.Handler{
		transport.SiteCreate: s.create,
		transport.SiteOpen:   s.open,
		transport.SiteStat:   s.stat,
		transport.SiteList:   s.list,
		transport.SiteDelete: s.delete,
		transport.SiteStatus: s.status,
	}
}

func decodeRef(r *wire.Reader, owner qsc.NodeID) cloud.Ref {
	return cloud.Ref{Owner: owner, Object: r.Array16(), Version: r.U64()}
}

func (s *server) create(ctx context.Context, peer qsc.NodeID, head []byte, st *transport.Stream) error {
	r := wire.NewReader(head)
	ref := decodeRef(r, peer)
	if err := r.Done(); err != nil {
		return err
	}
	w, err := s.site.Create(ctx, ref)
	if err != nil {
		return err
	}
	if err := s.receive(w, st); err != nil {
		_ = w.Abort()
		return err
	}
	if s.settle != nil {
		if err := s.settle(ctx, peer); err != nil {
			return err
		}
	}
	return st.Send(nil)
}

// receive takes pieces until the commit message and commits.
func (s *server) receive(w cloud.PieceWriter, st *transport.Stream) error {
	for {
		msg, err := st.Recv()
		if err == io.EOF {
			return qsc.E("remote.create", qsc.Invalid, "", "the share was given up")
		}
		if err != nil {
			return err
		}
		switch {
		case len(msg) > 0 && msg[0] == msgPiece:
			if err := w.Write(msg[1:]); err != nil {
				return err
			}
		case len(msg) > 0 && msg[0] == msgCommit:
			return w.Commit(msg[1:])
		default:
			return qsc.E("remote.create", qsc.Invalid, "", "message of unknown kind")
		}
	}
}

func (s *server) open(ctx context.Context, peer qsc.NodeID, head []byte, st *transport.Stream) error {
	r := wire.NewReader(head)
	ref, first, count := decodeRef(r, peer), r.U32(), r.U32()
	if err := r.Done(); err != nil {
		return err
	}
	pieces, err := s.site.Open(ctx, ref, first, count)
	if err != nil {
		return err
	}
	defer pieces.Close()
	if err := st.Send(nil); err != nil {
		return err
	}
	for {
		p, err := pieces.Next()
		switch {
		case err == io.EOF:
			return nil
		case qsc.IsKind(err, qsc.Corrupt):
			p = nil // an empty message stands for a damaged piece
		case err != nil:
			return err
		}
		if err := st.Send(p); err != nil {
			return err
		}
	}
}

func (s *server) stat(ctx context.Context, peer qsc.NodeID, head []byte, st *transport.Stream) error {
	r := wire.NewReader(head)
	ref := decodeRef(r, peer)
	if err := r.Done(); err != nil {
		return err
	}
	info, err := s.site.Stat(ctx, ref)
	if err != nil {
		return err
	}
	return st.Send(encodeInfo(info))
}

func (s *server) list(ctx context.Context, peer qsc.NodeID, head []byte, st *transport.Stream) error {
	r := wire.NewReader(head)
	after, limit := decodeRef(r, peer), r.U32()
	if err := r.Done(); err != nil {
		return err
	}
	infos, err := s.site.List(ctx, after, int(min(limit, cloud.MaxList)))
	if err != nil {
		return err
	}
	for _, i := range infos {
		if err := st.Send(encodeInfo(i)); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) delete(ctx context.Context, peer qsc.NodeID, head []byte, st *transport.Stream) error {
	r := wire.NewReader(head)
	ref := decodeRef(r, peer)
	if err := r.Done(); err != nil {
		return err
	}
	if err := s.site.Delete(ctx, ref); err != nil {
		return err
	}
	return st.Send(nil)
}

func (s *server) status(ctx context.Context, _ qsc.NodeID, _ []byte, st *transport.Stream) error {
	i, err := s.site.Status(ctx)
	if err != nil {
		return err
	}
	w := wire.Writer{}
	return st.Send(w.U64(uint64(i.Shares)).U64(uint64(i.Live)).U64(uint64(i.Disk)).U64(uint64(i.Free)).B)
}
