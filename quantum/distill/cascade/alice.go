package cascade

import (
	"github.com/quantum-secure-cloud/qsc"
)

func (g *group) layOutAlice() {
	size := g.plan.n + 1
	g.room(passes * size)
	for i := range g.tell {
		g.tell[i].before = g.memory[i*size : (i+1)*size]
	}
}

// heard takes Bob's answers to all questions of the group.
func (g *group) heard(in *reader) {
	if g.entering {
		g.entering = false
		if g.stage == stageFamilies {
			in.pos += families * subsets * g.width() // his to use
			for i := range g.family {
				g.family[i].own.reset()
			}
			return
		}
		t := &g.tell[g.stage]
		t.own.reset()
		t.enter(in, g.width())
		t.ask(0)
		return
	}
	for i := range g.tell {
		g.tell[i].follow(in)
	}
	for i := range g.family {
		g.family[i].follow(g, in, nil)
	}
}

// told takes what Bob asks for beyond that.
func (g *group) told(t turn) error {
	const op = "cascade.Reconcile"
	for i, r := range t.searches {
		if len(r) > 0 && g.stage < i {
			return qsc.E(op, qsc.Corrupt, "", "a search in pass %d, which has not begun", i+1)
		}
		if err := g.tell[i].begun(r, g); err != nil {
			return err
		}
	}
	if len(t.hunts) > 0 && g.stage != stageFamilies {
		return qsc.E(op, qsc.Corrupt, "", "a search in subsets, which have not begun")
	}
	if err := g.hunt(t.hunts); err != nil {
		return err
	}
	switch {
	case t.enter == 0 && g.searching():
	case int(t.enter) == g.stage+1 && !g.searching():
		g.enter(int(t.enter), false)
	default:
		return qsc.E(op, qsc.Corrupt, "", "the other end goes from stage %d to %d at the wrong time: the two ends are out of step", g.stage, t.enter)
	}
	return nil
}
