package photons

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// record is one of an honest round.
func record(round, first uint64) quantum.Record {
	return quantum.Record{
		Link: "a-b", Round: round, FirstSeq: first, Blocks: 2, Params: map[string]any{"mu": 0.5}, Bound: "some",
		EpsSec: 1e-10, EpsCor: 1e-15, Sifted: 1000, Lost: 64, Errors: 9, QBER: 0.01, Phi: 0.02, Efficiency: 1.1,
		Leak: 100, Auth: 64, Length: 500, ProducedAt: time.Unix(1000, 0),
	}
}

// The oracle of the records finds nothing where nothing is wrong, and each thing that
// can be wrong.
func TestBooks(t *testing.T) {
	for name, spoil := range map[string]func(take func(end int, all ...quantum.Record)){
		"": func(take func(int, ...quantum.Record)) {
			r := record(5, 6)
			r.ProducedAt, r.Params = r.ProducedAt.UTC(), map[string]any{"mu": 0.5 + 1e-12}
			take(0, r, record(4, 4))
		},
		"out of order": func(take func(int, ...quantum.Record)) {
			take(0, record(4, 4), record(5, 6))
		},
		"told otherwise later": func(take func(int, ...quantum.Record)) {
			r := record(3, 2)
			r.Errors++
			take(0, r)
		},
		"told otherwise at the other end": func(take func(int, ...quantum.Record)) {
			r := record(4, 4)
			r.Params = map[string]any{"mu": 0.6}
			take(0, record(4, 4))
			take(1, r)
		},
		"a parameter more": func(take func(int, ...quantum.Record)) {
			r := record(4, 4)
			r.Params["nu"] = 0.1
			take(0, record(4, 4))
			take(1, r)
		},
		"a block's number twice": func(take func(int, ...quantum.Record)) {
			take(0, record(4, 3))
		},
		"more than can be secret": func(take func(int, ...quantum.Record)) {
			r := record(4, 4)
			r.Length = 937
			take(0, r)
		},
		"full attack": func(take func(int, ...quantum.Record)) {
			r := record(4, 4)
			r.QBER = 0.25
			take(1, r)
		},
		"no bound": func(take func(int, ...quantum.Record)) {
			r := record(4, 4)
			r.EpsSec = 0
			take(1, r)
		},
	} {
		b, faults := newBooks(), 0
		fail := func(string, ...any) { faults++ }
		take := func(at int, all ...quantum.Record) { b.take(fail, end{"a-b", at}, all) }
		take(0, record(3, 2), record(2, 0))
		take(1, record(3, 2))
		spoil(take)
		if rounds := b.audit(fail); rounds < 1 {
			t.Errorf("%q: no round is told of at both ends", name)
		}
		if (faults > 0) != (name != "") {
			t.Errorf("%q: %d faults found", name, faults)
		}
	}
}
