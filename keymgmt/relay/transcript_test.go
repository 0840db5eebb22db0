package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// TestTranscripts plays the scenes in testdata. Jobs end at once; messages wait on
// their wires until a command moves them. Rewrite with -rewrite.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, file string) {
		s := &scene{world: newWorld(t), broken: map[string]qsc.Kind{}}
		s.fresh = randomKey(1)
		s.fails = func(who qsc.NodeID, job any) qsc.Kind { return s.broken[string(who)+" "+jobName(job)] }
		datadriven.RunTest(t, file, s.command)
		for id, as := range s.asked {
			if err := s.judge(id, as); err != nil {
				t.Error(err)
			}
		}
	})
}

type scene struct {
	*world
	out    strings.Builder
	wires  []flight // in the order of sending
	broken map[string]qsc.Kind
	id     ident
}

type flight struct {
	from, to qsc.NodeID
	text     []byte
}

func (s *scene) command(t *testing.T, d *datadriven.TestData) string {
	s.out.Reset()
	switch d.Cmd {
	case "make":
		s.make(t, d)
	case "run": // until nothing is on a wire
		for len(s.wires) > 0 {
			s.deliver(0)
		}
	case "deliver":
		s.deliver(s.find(t, d))
	case "drop":
		i := s.find(t, d)
		s.wires = slices.Delete(s.wires, i, i+1)
	case "dup":
		f := s.wires[s.find(t, d)]
		s.wires = append(s.wires, flight{f.from, f.to, slices.Clone(f.text)})
	case "later":
		i := s.find(t, d)
		f := s.wires[i]
		s.wires = append(slices.Delete(s.wires, i, i+1), f)
	case "tamper": // the last byte of an announcement
		f := s.wires[s.find(t, d)]
		f.text[len(f.text)-1] ^= 1
	case "fail":
		var node, job string
		d.ScanArgs(t, "node", &node)
		d.ScanArgs(t, "job", &job)
		s.broken[node+" "+job] = qsc.Exhausted
	case "crash":
		s.crash(s.who(t, d))
	case "tick":
		a := s.nodes[s.who(t, d)]
		s.effects(a, s.step(a, evTick{}))
	case "unsent": // the node cannot reach the next one
		i := s.find(t, d)
		f := s.wires[i]
		s.wires = slices.Delete(s.wires, i, i+1)
		m, _ := parse(f.text)
		a := s.nodes[f.from]
		s.effects(a, s.step(a, evLost{nakOf(m, int(m.At)-1, qsc.Unreachable)}))
	case "cancel":
		a := s.nodes[s.id.Source]
		s.effects(a, s.step(a, evCancel{s.id.ID, qsc.Timeout, "no answer in time"}))
	case "status":
		st := s.nodes[s.who(t, d)].core
		fmt.Fprintf(&s.out, "made %d relayed %d failed %d tampered %d lost %d, legs %d rounds %d\n",
			st.status.Made, st.status.Relayed, st.status.Failed, st.status.Tampered, st.status.Lost, len(st.legs), len(st.rounds))
	default:
		t.Fatalf("%s: no such command", d.Pos)
	}
	return s.out.String()
}

func (s *scene) make(t *testing.T, d *datadriven.TestData) {
	var need, n int
	d.ScanArgs(t, "need", &need)
	d.ScanArgs(t, "n", &n)
	hop := d.HasArg("hop")
	var paths []keymgmt.Path
	for line := range strings.Lines(d.Input) {
		var p keymgmt.Path
		for name := range strings.FieldsSeq(line) {
			p = append(p, qsc.NodeID(name))
			if s.nodes[qsc.NodeID(name)] == nil {
				s.node(qsc.NodeID(name))
				s.restart(qsc.NodeID(name), hop)
			}
		}
		paths = append(paths, p)
	}
	id, out := s.start(paths, need, n)
	s.id = id
	s.effects(s.nodes[id.Source], out)
}

func (s *scene) who(t *testing.T, d *datadriven.TestData) qsc.NodeID {
	var node string
	d.ScanArgs(t, "node", &node)
	return qsc.NodeID(node)
}

// find returns the first message on a wire.
func (s *scene) find(t *testing.T, d *datadriven.TestData) int {
	var from, to string
	d.ScanArgs(t, "from", &from)
	d.ScanArgs(t, "to", &to)
	i := slices.IndexFunc(s.wires, func(f flight) bool { return f.from == qsc.NodeID(from) && f.to == qsc.NodeID(to) })
	if i < 0 {
		t.Fatalf("%s: nothing is on the wire from %s to %s", d.Pos, from, to)
	}
	return i
}

func (s *scene) deliver(i int) {
	f := s.wires[i]
	s.wires = slices.Delete(s.wires, i, i+1)
	m, err := parse(f.text)
	if err != nil {
		fmt.Fprintf(&s.out, "%s refuses: %v\n", f.to, err)
		return
	}
	b := s.nodes[f.to]
	s.effects(b, s.step(b, evMessage{f.from, m}))
}

// effects prints what a node does, and does it.
func (s *scene) effects(a *actor, out effects) {
	for _, m := range out.Sends {
		fmt.Fprintf(&s.out, "%s → %s %s\n", a.id, m.To, describe(m.Msg))
		s.wires = append(s.wires, flight{a.id, m.To, s.wire(a.id, m.To, m.Msg)})
	}
	for _, e := range out.Ends {
		if e.Kind == qsc.Other {
			fmt.Fprintf(&s.out, "%s has %d bytes: %d of %d paths, %d hops, disjoint %t, %v\n", a.id, e.D.Key.Len()+len(s.asked[s.id].key), e.D.Need, e.D.Paths, e.D.Hops, e.D.Disjoint, e.D.Class)
		} else {
			fmt.Fprintf(&s.out, "%s gives up: %v\n", a.id, e.Kind)
		}
	}
	for _, j := range out.Jobs {
		ev := s.perform(a, j)
		fmt.Fprintf(&s.out, "%s: %s%s\n", a.id, jobName(j), outcome(ev))
		if ev != nil {
			s.effects(a, s.step(a, ev))
		}
	}
}

func (s *scene) crash(id qsc.NodeID) {
	for _, o := range s.nodes[id].core.origins {
		s.asked[o.Wait.(ident)].ends = []ending{{Kind: qsc.Unreachable}}
	}
	s.restart(id, false)
	s.wires = slices.DeleteFunc(s.wires, func(f flight) bool { return f.from == id || f.to == id })
}

func describe(m *message) string {
	switch m.Type {
	case typeOrder:
		return fmt.Sprintf("order of path %d: %d bytes in %d parts, fix %d, carried %d", m.Path, m.Offer.size(), len(m.In), len(m.Fix), len(m.Carried))
	case typeAnnounce:
		return fmt.Sprintf("announcement of %d to %d", m.First, m.Last)
	case typeAck:
		return fmt.Sprintf("ack on path %d: made of %03b", m.Path, m.Got)
	case typeNak:
		return fmt.Sprintf("nak on path %d: %v", m.Path, m.Kind)
	case typeVoid:
		return fmt.Sprintf("void: %d parts", len(m.In))
	}
	return fmt.Sprint("message of type ", m.Type)
}

func jobName(job any) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", job), "relay.job")
	return strings.ToLower(name)
}

func outcome(ev any) string {
	switch e := ev.(type) {
	case evReserved:
		return fails(e.Kind)
	case evAnnounced:
		return fails(e.Kind)
	case evTaken:
		return fails(e.Kind)
	case evAccepted:
		return fails(e.Kind)
	case evVerified:
		if !e.OK {
			return ": the check fails"
		}
	case evChecked:
		if !e.OK {
			return ": the tag is wrong"
		}
	}
	return ""
}

func fails(k qsc.Kind) string {
	if k == qsc.Other {
		return ""
	}
	return ": " + k.String()
}
