package remote

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
	"github.com/quantum-secure-cloud/qsc/keymgmt/ledger"
	"github.com/quantum-secure-cloud/qsc/transport"
)

const (
	testLink  = qsc.LinkID("home-away")
	testBlock = 64 << 10
	testPad   = 16 << 20
	testStock = 20_000 // blocks, made when they are taken
)

// openLedger is one end of a link with key enough, on a disk in memory.
func openLedger(t *testing.T, end int) keymgmt.Ledger {
	t.Helper()
	stock := &keymgmttest.Stock{Link: testLink, Block: testBlock}
	seqs := make([]uint64, testStock)
	for i := range seqs {
		seqs[i] = uint64(i)
	}
	stock.Add(seqs...)
	l, err := ledger.Open(ledger.Config{FS: durable.Mem(1 << 30), Link: testLink, End: end, Block: testBlock, Pad: testPad, Source: stock, Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// away serves a site at one end of a link and returns the room at the other.
func away(t *testing.T, site cloud.Site) cloud.Site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	b := transport.Open(transport.Config{Node: "away", Listener: l, Logger: log, Handlers: Handlers(site, nil),
		Links: []transport.LinkConfig{{ID: testLink, End: 1, Peer: cloudtest.Owner, Ledger: openLedger(t, 1)}}})
	a := transport.Open(transport.Config{Node: cloudtest.Owner, Logger: log,
		Links: []transport.LinkConfig{{ID: testLink, End: 0, Peer: "away", Addr: l.Addr().String(), Ledger: openLedger(t, 0)}}})
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	for end := time.Now().Add(time.Minute); !a.Status()[0].Up && time.Now().Before(end); { // a call waits a second only
		time.Sleep(time.Millisecond)
	}
	return New(site.ID(), "away", cloudtest.Owner, a)
}

// The room at a neighbour keeps the same promises as the one at hand.
func TestConformance(t *testing.T) {
	cloudtest.Site(t, func(t *testing.T) cloud.Site { return away(t, cloudtest.NewMemSite("away")) })
}

// Whoever a request comes from owns what it names: nobody reads another's share.
func TestOwnerComesFromTheChannel(t *testing.T) {
	site := cloudtest.NewMemSite("away")
	theirs := cloudtest.NewRef("somebody-else", 1, 1)
	cloudtest.PutShare(t, site, theirs, 1, 100)
	s := away(t, site)
	mine := theirs
	mine.Owner = cloudtest.Owner
	if _, err := s.Stat(t.Context(), mine); !qsc.IsKind(err, qsc.NotFound) {
		t.Error("stat:", err)
	}
	if _, err := s.Stat(t.Context(), theirs); !qsc.IsKind(err, qsc.NotFound) {
		t.Error("stat under another's name:", err)
	}
	if r, err := s.Open(t.Context(), theirs, 0, 1); !qsc.IsKind(err, qsc.NotFound) {
		t.Error("open under another's name:", r, err)
	}
	if err := s.Delete(t.Context(), theirs); err != nil {
		t.Error(err)
	}
	cloudtest.WantShare(t, site, theirs, 1, 100)
}

func FuzzDecodeInfo(f *testing.F) {
	f.Add(encodeInfo(cloud.ShareInfo{Ref: cloudtest.NewRef("x", 1, 2), Chunks: 3, Bytes: 4, Meta: []byte("meta")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if i, err := decodeInfo(wire.NewReader(b), "home"); err == nil && len(i.Meta) > cloud.MaxMeta {
			t.Error("accepted too much")
		}
	})
}
