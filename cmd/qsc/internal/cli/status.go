package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/node"
)

// askTime bounds how long a node may take to tell of itself.
const askTime = 5 * time.Second

// askAtOnce is how many nodes are asked side by side.
const askAtOnce = 32

// defaultIngest is the rate of the sequencers in the first field trial.
const defaultIngest = "10 Mbit/s"

func (a *app) statusCmd() *cobra.Command {
	var ingest string
	c := &cobra.Command{
		Use: "status", Short: "nodes, links, pad left, alarms",
		Long: "Status asks every node of the network. Pad left is given in bytes and in hours of\n" +
			"ingest: how long a source of the rate --ingest can be stored before a link without\n" +
			"new key is empty, since a byte of secret costs a byte of pad on every link it takes.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.status(c.Context(), ingest) },
	}
	c.Flags().StringVar(&ingest, "ingest", defaultIngest, "the rate of the source that hours of ingest are counted for")
	return c
}

// overview is the answer of `qsc status`.
type overview struct {
	Network string      `json:"network"`
	Data    string      `json:"data"`
	Nodes   []nodeState `json:"nodes"`
	Links   []linkState `json:"links"`
	Books   books       `json:"books"`
	Alarms  []string    `json:"alarms"`
}

// nodeState is one node; Status is nil when it does not answer.
type nodeState struct {
	Node   qsc.NodeID    `json:"node"`
	Site   qsc.SiteID    `json:"site"`
	Up     bool          `json:"up"`
	Why    string        `json:"why,omitempty"`
	Status *admin.Status `json:"status,omitempty"`
}

// linkState is one link as its two ends tell it; an end is nil when its node
// does not answer.
type linkState struct {
	ID    qsc.LinkID     `json:"id"`
	Kind  string         `json:"kind"`
	Ends  [2]qsc.NodeID  `json:"ends"`
	Up    bool           `json:"up"`         // at every end that answers, and at least one does
	Left  [2]int64       `json:"left_bytes"` // from the first end to the second, and back
	Hours [2]float64     `json:"left_hours_of_ingest"`
	Class qsc.Class      `json:"class"`
	End   [2]*admin.Link `json:"end"`
}

// books says whether produced = used + burnt + left everywhere.
type books struct {
	Checked  int      `json:"checked"` // link ends
	Balanced bool     `json:"balanced"`
	Wrong    []string `json:"wrong"`
}

func (a *app) status(ctx context.Context, ingest string) error {
	rate, err := node.ParseRate(ingest)
	if err != nil || rate <= 0 {
		return usage{fmt.Errorf("--ingest: %s is no rate such as %s", quoteArg(ingest), defaultIngest)}
	}
	p, err := a.find()
	if err != nil {
		return err
	}
	o := p.survey(ctx, rate)
	if a.json {
		return a.answer(o)
	}
	return a.showOverview(o, ingest)
}

// survey asks all nodes.
func (p *place) survey(ctx context.Context, ingest qsc.BitRate) overview {
	o := overview{Network: p.net.Name, Data: p.dir, Nodes: make([]nodeState, len(p.net.Nodes)), Links: []linkState{}, Alarms: []string{}}
	var wg sync.WaitGroup
	turn := make(chan struct{}, askAtOnce)
	for i, n := range p.net.Nodes {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			o.Nodes[i] = p.askNode(ctx, n.ID, n.Site)
		})
	}
	wg.Wait()
	o.join(p.net, ingest)
	return o
}

func (p *place) askNode(ctx context.Context, id qsc.NodeID, site qsc.SiteID) nodeState {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	n := nodeState{Node: id, Site: site}
	client, err := p.client(id)
	if err == nil {
		var s admin.Status
		if s, err = client.Status(ctx); err == nil {
			n.Up, n.Status = true, &s
			return n
		}
	}
	n.Why = plain(err)
	return n
}

// join turns what the nodes say into links, books and alarms.
func (o *overview) join(net *node.Network, ingest qsc.BitRate) {
	ends := map[qsc.LinkID]map[qsc.NodeID]*admin.Link{}
	for _, n := range o.Nodes {
		if !n.Up {
			o.Alarms = append(o.Alarms, string(n.Node)+": the node does not answer")
			continue
		}
		for i := range n.Status.Links {
			l := &n.Status.Links[i]
			if ends[l.ID] == nil {
				ends[l.ID] = map[qsc.NodeID]*admin.Link{}
			}
			ends[l.ID][n.Node] = l
			o.Books.check(n.Node, l)
		}
		if !n.Status.Keys.Balanced {
			o.Books.Wrong = append(o.Books.Wrong, "end-to-end key at "+string(n.Node))
		}
		for _, text := range n.Status.Alarms {
			if !isDown(n.Status.Links, text) {
				o.Alarms = append(o.Alarms, string(n.Node)+": "+text)
			}
		}
	}
	o.Books.Balanced = len(o.Books.Wrong) == 0
	for _, l := range net.Links {
		s := joinLink(l, ends[l.ID], ingest)
		o.Links = append(o.Links, s)
		if !s.Up && s.End[0] != nil && s.End[1] != nil { // else the node's alarm says it
			o.Alarms = append(o.Alarms, fmt.Sprintf("link %s: %s", s.ID, s.state()))
		}
	}
}

// isDown reports whether an alarm only says that a link is down, which both its
// ends do: it is told once, for the link.
func isDown(links []admin.Link, text string) bool {
	return slices.ContainsFunc(links, func(l admin.Link) bool {
		return !l.Up && strings.HasPrefix(text, "link "+string(l.ID)+": down:")
	})
}

func (b *books) check(at qsc.NodeID, l *admin.Link) {
	b.Checked++
	if b.Wrong == nil {
		b.Wrong = []string{}
	}
	if !l.Balanced || !l.Send.Balanced() || !l.Recv.Balanced() || !l.SendSlots.Balanced() || !l.RecvSlots.Balanced() {
		b.Wrong = append(b.Wrong, fmt.Sprintf("%s at %s", l.ID, at))
	}
}

func joinLink(l node.Link, at map[qsc.NodeID]*admin.Link, ingest qsc.BitRate) linkState {
	s := linkState{ID: l.ID, Kind: l.Kind, Ends: l.Ends, Up: len(at) > 0}
	for i, id := range l.Ends {
		s.End[i] = at[id]
		if e := s.End[i]; e != nil {
			s.Up = s.Up && e.Up
			s.Class |= e.Class
		}
	}
	s.Left = [2]int64{left(s.End[0], s.End[1]), left(s.End[1], s.End[0])}
	for i := range s.Left {
		s.Hours[i] = float64(s.Left[i]) * 8 / float64(ingest) / 3600
	}
	return s
}

// left is the pad from one end to the other, by the lower of the two books.
func left(from, to *admin.Link) int64 {
	switch {
	case from == nil && to == nil:
		return 0
	case from == nil:
		return to.Recv.Left
	case to == nil:
		return from.Send.Left
	}
	return min(from.Send.Left, to.Recv.Left)
}

func (a *app) showOverview(o overview, ingest string) error {
	fmt.Fprintf(a.out, "network %s in %s\n\n", o.Network, o.Data)
	if err := o.nodeTable().Write(a.out, ""); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	if len(o.Links) > 0 {
		if err := o.linkTable().Write(a.out, ""); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "(time in brackets: how long the pad lasts a source of %s)\n\n", ingest)
	}
	if photons := o.quantumTable(); photons != nil {
		if err := photons.Write(a.out, ""); err != nil {
			return err
		}
		fmt.Fprintln(a.out)
	}
	if keys := o.keyTable(); keys != nil {
		if err := keys.Write(a.out, ""); err != nil {
			return err
		}
		fmt.Fprintln(a.out)
	}
	switch {
	case o.Books.Checked == 0:
		fmt.Fprintln(a.out, "books: none, since no node answers")
	case o.Books.Balanced:
		fmt.Fprintf(a.out, "books: produced = used + burnt + left at all %d link ends that answer\n", o.Books.Checked)
	default:
		fmt.Fprintf(a.out, "books: DO NOT BALANCE: %s\n", strings.Join(o.Books.Wrong, ", "))
	}
	if len(o.Alarms) == 0 {
		_, err := fmt.Fprintln(a.out, "alarms: none")
		return err
	}
	fmt.Fprintln(a.out, "alarms:")
	for _, text := range o.Alarms {
		fmt.Fprintln(a.out, "  "+text)
	}
	return nil
}

func (o *overview) nodeTable() *show.Table {
	t := show.NewTable("NODE", "SITE", "STATE", "PID", "UP FOR", "OBJECTS", "SHARES", "STORED", "DISK FREE")
	for _, n := range o.Nodes {
		if n.Status == nil {
			t.Row(string(n.Node), string(n.Site), "down", "", "", "", "", "", "")
			continue
		}
		s := n.Status
		t.Row(string(n.Node), string(n.Site), "up", fmt.Sprint(s.PID), show.Duration(time.Since(s.Since).Round(time.Second)),
			fmt.Sprint(s.Objects), fmt.Sprint(s.Store.Shares), show.Bytes(s.Store.Live), show.Bytes(s.Store.Free))
	}
	return t
}

func (o *overview) linkTable() *show.Table {
	t := show.NewTable("LINK", "KIND", "STATE", "RATE", "PAD LEFT →", "PAD LEFT ←", "IN STOCK", "CLASS")
	for _, l := range o.Links {
		rate := ""
		if i := slices.IndexFunc(l.End[:], func(e *admin.Link) bool { return e != nil && e.Rate > 0 }); i >= 0 {
			rate = l.End[i].Rate.String()
		}
		class := ""
		if l.End[0] != nil || l.End[1] != nil {
			class = l.Class.String()
		}
		t.Row(string(l.ID), l.Kind, l.state(), rate, l.pad(0), l.pad(1), l.stock(), class)
	}
	return t
}

// quantumTable tells of the links whose key is distilled here; nil where there is
// none.
func (o *overview) quantumTable() *show.Table {
	t := show.NewTable("QUANTUM LINK", "DEVICE", "KEY RATE", "ERROR RATE", "F", "NEXT BLOCK", "BOUND")
	some := false
	for _, l := range o.Links {
		e := l.End[0]
		if e == nil {
			e = l.End[1]
		}
		if e == nil || e.Device == "" {
			continue
		}
		some = true
		t.Row(string(l.ID), e.Device, e.Rate.String(), percent(e.QBER), figure(e.F), next(e.NextBlock), e.Bound)
	}
	if !some {
		return nil
	}
	return t
}

func percent(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f %%", 100*v)
}

func figure(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f", v)
}

// next is when the next block comes.
func next(d time.Duration) string {
	if d < 0 {
		return "rests"
	}
	return "in " + show.Duration(d.Round(100*time.Millisecond))
}

// keyTable tells of the doors for applications and of the key behind them; nil
// where no node opens one.
func (o *overview) keyTable() *show.Table {
	t := show.NewTable("NODE", "ETSI 014", "ETSI 004", "SKIP", "KEY READY", "ISSUED", "BURNT", "RELAYED", "ROUTES")
	doors := false
	for _, n := range o.Nodes {
		if n.Status == nil {
			continue
		}
		s := n.Status
		doors = doors || s.Doors != (admin.Doors{})
		routes := "own"
		if s.Control.Epoch > 0 {
			routes = fmt.Sprintf("%d of epoch %d", s.Control.Flows, s.Control.Epoch)
		}
		if s.Control.Leads {
			routes += ", leads"
		}
		t.Row(string(n.Node), s.Doors.ETSI014, s.Doors.ETSI004, s.Doors.SKIP, show.Bytes(s.Keys.Left), show.Bytes(s.Keys.Used),
			show.Bytes(s.Keys.Burnt+s.Keys.Expired), show.Bytes(s.Keys.Relay.Relayed), routes)
	}
	if !doors {
		return nil
	}
	return t
}

// state is a link's in a word, or in the reason why not.
func (l *linkState) state() string {
	why := ""
	for i, e := range l.End {
		if e == nil && l.End[1-i] != nil {
			return "down: " + string(l.Ends[i]) + " is down"
		}
		if e != nil && !e.Up {
			why = first(why, e.Why, "not connected")
		}
	}
	switch {
	case why != "":
		return "down: " + plain(errors.New(why))
	case l.End[0] == nil && l.End[1] == nil:
		return "unknown"
	case l.End[0] != nil && l.End[0].Waiting || l.End[1] != nil && l.End[1].Waiting:
		return "waits for key"
	}
	return "up"
}

// stock is what was couriered and is not in the rings yet, by the end that has
// less; "" for none.
func (l *linkState) stock() string {
	stock := int64(-1)
	for _, e := range l.End {
		if e != nil && (stock < 0 || e.Stock < stock) {
			stock = e.Stock
		}
	}
	if stock <= 0 {
		return ""
	}
	return show.Bytes(stock)
}

func (l *linkState) pad(way int) string {
	if l.End[0] == nil && l.End[1] == nil {
		return ""
	}
	return fmt.Sprintf("%s (%s)", show.Bytes(l.Left[way]), show.Duration(time.Duration(l.Hours[way]*float64(time.Hour))))
}
