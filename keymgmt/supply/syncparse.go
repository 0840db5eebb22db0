package supply

import (
	"github.com/quantum-secure-cloud/qsc/internal/wire"
)

// state is a syncState as it came.
type state struct {
	boot, seq, peer uint64
	next, ttl       uint32
	peerHas         uint64
	upto            uint64
	reports         []report
	active          []report // n and position
	firstPlace      uint32
	numbers         []uint32
}

func parseState(r *wire.Reader) (m state, err error) {
	m = state{boot: r.U64(), seq: r.U64(), peer: r.U64(), next: r.U32(), ttl: r.U32(), peerHas: r.U64(), upto: r.U64()}
	pairs := func(most int) (list []report) {
		n := int(r.U16())
		if n > most {
			r.Take(-1)
		}
		for i := 0; i < n && r.Err() == nil; i++ {
			list = append(list, report{r.U32(), r.U32()})
		}
		return list
	}
	m.reports, m.active = pairs(maxSyncReports), pairs(maxSyncActive)
	m.firstPlace = r.U32()
	n := int(r.U16())
	if n > maxSyncOrders {
		r.Take(-1)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		m.numbers = append(m.numbers, r.U32())
	}
	return m, r.Done()
}

func parseAnswer(r *wire.Reader) (m answer, err error) {
	m = answer{boot: r.U64(), seq: r.U64(), peer: r.U64(), taken: r.U64(), upto: r.U64(), ordered: r.U32(), seen: r.U32()}
	m.older, m.more = r.U8() != 0, r.U8() != 0
	n := int(r.U16())
	if n > maxSyncHeld {
		r.Take(-1)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		m.held.add(uint64(r.U32()), uint64(r.U32()))
	}
	return m, r.Done()
}
