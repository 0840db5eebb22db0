package supply

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// StreamStatus is the account of one end of a stream.
type StreamStatus struct {
	Peer       qsc.NodeID         `json:"peer"`
	Master     bool               `json:"master"`
	App        bool               `json:"app"` // an application stream
	Protection keymgmt.Protection `json:"protection"`
	Confirmed  bool               `json:"confirmed"`
	Segments   int                `json:"segments"`
	Making     int                `json:"making"`
	Books      Books              `json:"books"`
}

// Status is what a supply tells of itself.
type Status struct {
	Streams []StreamStatus `json:"streams"`
	Total   Books          `json:"total"`   // streams that have ended since the start included
	Expired int64          `json:"expired"` // bytes, since the start
	Gifts   int            `json:"gifts"`   // multicast keys waiting here
	Alarms  []string       `json:"alarms"`  // the latest
}

// Status returns the accounts of all streams at this node.
func (s *Supply) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Status{Total: s.past, Expired: s.expired, Gifts: len(s.told), Alarms: slices.Clone(s.alarms)}
	for _, st := range s.byNum {
		b := st.books()
		out.Total.add(b)
		out.Streams = append(out.Streams, StreamStatus{st.peer, st.role == master, st.purpose == forApp, st.prot, st.confirmed, len(st.segs), st.making, b})
	}
	return out
}

// books sums the segments that are gone and those that are here. mu is held.
func (st *stream) books() Books {
	b := st.book
	for _, g := range st.segs {
		x := Books{Produced: int64(g.size), Used: int64(g.used), Expired: int64(g.expired)}
		switch {
		case st.purpose == forApp:
			x.Left = int64(g.left)
		case st.role == master:
			x.Left = int64(g.size - g.pos)
		default:
			x.Left = int64(g.free) * unit
		}
		x.Burnt = x.Produced - x.Used - x.Expired - x.Left
		b.add(x)
	}
	return b
}
