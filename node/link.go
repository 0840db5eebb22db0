package node

import (
	"fmt"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud/vault"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/ledger"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/transport"
)

// blockWait is how long a frame may wait for its key block: as long as this end
// may need to burn and erase what stands in the block's place.
const blockWait = 10 * time.Second

// linkEnd is this node's end of one link.
type linkEnd struct {
	link   Link
	end    int
	peer   qsc.NodeID
	source quantum.Link
	ledger keymgmt.Ledger
}

func (n *Node) openLinks() error {
	for _, l := range n.net.LinksOf(n.cfg.Node) {
		if err := n.openLink(l); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openLink(l Link) error {
	e := &linkEnd{link: l, peer: l.Other(n.cfg.Node)}
	if l.Ends[1] == n.cfg.Node {
		e.end = 1
	}
	source, err := n.openSource(e)
	if err != nil {
		return err
	}
	e.source = source
	n.closer = append(n.closer, source.Close)
	fs, err := n.files(linkDir(l.ID, ledgerDir))
	if err != nil {
		return err
	}
	led, err := ledger.Open(ledger.Config{
		FS: fs, Link: l.ID, Ends: l.Ends, End: e.end, Block: l.Block, Pad: l.Pad, Source: source, Logger: n.log,
		Wait: blockWait,
	})
	if err != nil {
		return err
	}
	e.ledger = led
	n.closer = append(n.closer, led.Close)
	n.links = append(n.links, e)
	return nil
}

// dryLane is what may be left of a lane, in bytes, when it carries nothing more:
// the tails of blocks that are too short for a frame.
const dryLane = 4 << 10

// budget is what the link can still carry for the vault.
func (e *linkEnd) budget() vault.Budget {
	st := e.ledger.Status()
	stock := st.Source.Waiting // for which lanes is not known: at worst a transfer waits
	b := vault.Budget{
		Send: st.Lanes[keymgmt.SendData(e.end)].Left + stock, Recv: st.Lanes[keymgmt.RecvData(e.end)].Left + stock,
		Link: e.link.ID, Finite: st.Source.Rate == 0, Class: st.Class.Weakest(st.Source.Class),
	}
	// Where the receiving lane is empty it is the peer that waits: it cannot even
	// say so.
	if st.Exhausted || st.Lanes[keymgmt.RecvData(e.end)].Left < dryLane {
		b.Stall = fmt.Sprintf("link %s waits for key", e.link.ID)
		if b.Finite {
			b.Stall += ": provision it (qsc link provision)"
		}
	}
	return b
}

// status joins what the ledger and the channel tell.
func (e *linkEnd) status(ch transport.LinkStatus) admin.Link {
	st := e.ledger.Status()
	l := admin.Link{
		ID: e.link.ID, Peer: e.peer, Kind: st.Source.Kind, Up: ch.Up, Why: ch.Why, Resumed: ch.Resumed, Waiting: ch.Waiting,
		Rate: st.Source.Rate, NextBlock: st.Source.NextBlock, QBER: st.Source.QBER, F: st.Source.F, Bound: st.Source.Bound, Device: st.Source.Device, Class: st.Class.Weakest(st.Source.Class),
		Epoch: st.Epoch, Block: st.Block, Stock: st.Source.Waiting, Alarm: st.Source.Alarm,
		Send: st.Lanes[keymgmt.SendData(e.end)], Recv: st.Lanes[keymgmt.RecvData(e.end)],
		SendSlots: st.Lanes[keymgmt.SendControl(e.end)], RecvSlots: st.Lanes[keymgmt.RecvControl(e.end)],
		Balanced: true,
	}
	for _, a := range st.Lanes {
		l.Balanced = l.Balanced && a.Balanced()
	}
	return l
}
