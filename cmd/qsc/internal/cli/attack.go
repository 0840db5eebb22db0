package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/node"
)

// attackOptions steer qsc link attack.
type attackOptions struct {
	kind     string
	strength float64
	during   time.Duration
	recover  time.Duration
}

func (a *app) attackCmd() *cobra.Command {
	var o attackOptions
	c := &cobra.Command{
		Use: "attack LINK", Short: "put an eavesdropper on a simulated link and watch",
		Long: "Attack lets the simulator of a live link do what an eavesdropper would, tells how the\n" +
			"two ends notice (the error rate rises, key stops, an alarm is raised, routes change),\n" +
			"and ends it after --for or at Ctrl-C, when it waits for the link to make key again.\n" +
			"Kinds: " + strings.Join(attackWords(), ", ") + ".",
		Example:           "  qsc link attack koganei-otemachi --kind intercept-resend --strength 1 --for 20s",
		Args:              args(1, 1),
		ValidArgsFunction: a.fromNetwork(linkIDs),
		RunE:              func(c *cobra.Command, given []string) error { return a.attack(c.Context(), given[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.kind, "kind", string(node.InterceptResend), "what the eavesdropper does")
	f.Float64Var(&o.strength, "strength", 1, "how much of it, 0 to 1; 0 ends an attack that is left over")
	f.DurationVar(&o.during, "for", 20*time.Second, "how long")
	f.DurationVar(&o.recover, "recover", time.Minute, "how long to wait for key afterwards")
	_ = c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(attackWords(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func attackWords() (words []string) {
	for _, k := range node.AttackKinds() {
		words = append(words, string(k))
	}
	return words
}

// sight is a link under attack as seen at one moment.
type sight struct {
	After  float64     `json:"after_s"`
	Phase  string      `json:"phase"` // "before", "attack", "after"
	Rate   qsc.BitRate `json:"rate_bit_s"`
	QBER   float64     `json:"qber"`
	Left   int64       `json:"left_bytes"`
	Alarm  string      `json:"alarm,omitempty"`
	Routes uint64      `json:"routes_version"` // of the controller's tables at both ends, added
	Epoch  uint64      `json:"routes_epoch"`
}

// attacked is the answer of qsc link attack.
type attacked struct {
	Link      qsc.LinkID `json:"link"`
	Kind      string     `json:"kind"`
	Strength  float64    `json:"strength"`
	Sights    []sight    `json:"sights"`
	AlarmS    float64    `json:"alarm_after_s"`     // of the attack's beginning; -1: none was raised
	ReroutedS float64    `json:"rerouted_after_s"`  // likewise; -1: the routes stood
	RecoverS  float64    `json:"key_again_after_s"` // of the attack's end; -1: not in the time given
}

// siege is an attack under way.
type siege struct {
	*app
	p     *place
	link  node.Link
	o     attackOptions
	start time.Time
	rep   attacked
}

func (a *app) attack(ctx context.Context, id string, o attackOptions) error {
	switch {
	case !slices.Contains(attackWords(), o.kind):
		return usage{fmt.Errorf("--kind: %s is none of %s", quoteArg(o.kind), strings.Join(attackWords(), ", "))}
	case !(o.strength >= 0 && o.strength <= 1):
		return usage{fmt.Errorf("--strength: %v is not between 0 and 1", o.strength)}
	case o.during < 0 || o.recover < 0:
		return usage{errors.New("--for and --recover cannot be below nothing")}
	}
	p, l, err := a.findLink(id)
	if err != nil {
		return err
	}
	s := &siege{app: a, p: p, link: l, o: o, start: time.Now(), rep: attacked{Link: l.ID, Kind: o.kind, Strength: o.strength, AlarmS: -1, ReroutedS: -1, RecoverS: -1}}
	if o.strength == 0 {
		return s.set(ctx, 0)
	}
	return s.run(ctx)
}

// set asks both ends: photons are attacked at the receiver, messages at either.
func (s *siege) set(ctx context.Context, strength float64) error {
	var errs []error
	for _, end := range s.link.Ends {
		c, err := s.p.client(end)
		if err == nil {
			err = c.Attack(ctx, s.link.ID, node.Attack{Kind: node.AttackKind(s.o.kind), Strength: strength})
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == len(s.link.Ends) {
		return errs[0]
	}
	return nil
}

func (s *siege) run(ctx context.Context) error {
	s.tell("link %s of %s, %s at strength %g for %v", s.link.ID, s.p.net.Name, s.o.kind, s.o.strength, s.o.during)
	before, err := s.look(ctx, "before")
	if err != nil {
		return err
	}
	if err := s.set(ctx, s.o.strength); err != nil {
		return err
	}
	s.start = time.Now()
	werr := s.watch(ctx, "attack", s.o.during, func(now sight) bool {
		s.note(&s.rep.AlarmS, now.Alarm != "", now.After, "alarm: %s", now.Alarm)
		s.note(&s.rep.ReroutedS, now.Routes != before.Routes || now.Epoch != before.Epoch, now.After, "the controller has sent other routes (version %d)", now.Routes)
		return false
	})
	// The attack ends whatever happened, Ctrl-C included.
	free, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	if err := s.set(free, 0); err != nil {
		return err
	}
	if werr != nil {
		return fate(ctx, werr, "the attack has ended")
	}
	s.tell("the attack ends")
	s.start = time.Now()
	if err := s.watch(ctx, "after", s.o.recover, func(now sight) bool {
		s.note(&s.rep.RecoverS, now.Alarm == "" && now.Rate > 0, now.After, "key again, at %v", now.Rate)
		return s.rep.RecoverS >= 0
	}); err != nil {
		return fate(ctx, err, "the attack has ended")
	}
	return s.report()
}

// note takes down when something was seen first.
func (s *siege) note(at *float64, seen bool, after float64, format string, args ...any) {
	if seen && *at < 0 {
		*at = after
		s.tell("%7.1f s  "+format, append([]any{after}, args...)...)
	}
}

const lookEach = 500 * time.Millisecond

// watch looks again and again until enough says so or the time is over.
func (s *siege) watch(ctx context.Context, phase string, during time.Duration, enough func(sight) bool) error {
	end := time.NewTimer(during)
	defer end.Stop()
	each := time.NewTicker(lookEach)
	defer each.Stop()
	for {
		now, err := s.look(ctx, phase)
		if err != nil {
			return err
		}
		if enough(now) {
			return nil
		}
		select {
		case <-each.C:
		case <-end.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look asks the ends, and tells when something has changed.
func (s *siege) look(ctx context.Context, phase string) (sight, error) {
	now := sight{After: time.Since(s.start).Seconds(), Phase: phase}
	answered := false
	for _, id := range s.link.Ends {
		n := s.p.askNode(ctx, id, "")
		if !n.Up {
			continue
		}
		k := slices.IndexFunc(n.Status.Links, func(l admin.Link) bool { return l.ID == s.link.ID })
		if k < 0 {
			continue
		}
		now.take(n.Status.Links[k])
		now.Routes += n.Status.Control.Version
		now.Epoch = max(now.Epoch, n.Status.Control.Epoch)
		answered = true
	}
	if !answered {
		return now, qsc.E("", qsc.Unreachable, string(s.link.ID), "neither end answers: is the network up (qsc up)?")
	}
	if n := len(s.rep.Sights); n == 0 || now.differs(s.rep.Sights[n-1]) {
		s.tell("%7.1f s  key %v, error rate %s, pad left %s", now.After, now.Rate, first(percent(now.QBER), "unknown"), show.Bytes(now.Left))
	}
	s.rep.Sights = append(s.rep.Sights, now)
	return now, nil
}

// take joins what one end says: the worse of the two counts.
func (s *sight) take(l admin.Link) {
	s.QBER = max(s.QBER, l.QBER)
	s.Left += l.Send.Left
	if s.Alarm == "" {
		s.Alarm = l.Alarm
	}
	if s.Rate == 0 || l.Rate < s.Rate {
		s.Rate = l.Rate
	}
}

// differs reports whether a sight is worth telling after another.
func (s sight) differs(old sight) bool {
	return (s.Rate == 0) != (old.Rate == 0) || (s.Alarm == "") != (old.Alarm == "") || s.QBER > 1.2*old.QBER+0.001 || s.QBER < 0.8*old.QBER-0.001
}

func (s *siege) report() error {
	if s.json {
		return s.answer(s.rep)
	}
	if s.rep.AlarmS < 0 {
		s.tell("no alarm was raised: the attack was too weak, or the link rested with full rings")
	}
	if s.rep.RecoverS < 0 {
		return qsc.E("", qsc.Timeout, string(s.link.ID), "no key within %v of the attack's end: see qsc status", s.o.recover)
	}
	return nil
}

func (a *app) recordsCmd() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "records LINK", Short: "under what a link's last key blocks were made",
		Long: "Records shows the last rounds of distillation of a link: bits in and out, error rate,\n" +
			"what was disclosed, the bound that gave the length and its security parameters. With\n" +
			"--json every parameter and count that the length rests on. There is no key in it.",
		Args:              args(1, 1),
		ValidArgsFunction: a.fromNetwork(linkIDs),
		RunE:              func(c *cobra.Command, given []string) error { return a.records(c.Context(), given[0], limit) },
	}
	c.Flags().IntVar(&limit, "limit", 10, "how many rounds")
	return c
}

func (a *app) records(ctx context.Context, id string, limit int) error {
	p, l, err := a.findLink(id)
	if err != nil {
		return err
	}
	c, err := p.client(l.Ends[0])
	if err != nil {
		return err
	}
	all, err := c.Records(ctx, l.ID, limit)
	if err != nil {
		return err
	}
	if a.json {
		return a.answer(all)
	}
	t := show.NewTable("ROUND", "WHEN", "SIFTED", "ERROR RATE", "F", "LEAK", "DROPPED", "KEY", "BLOCKS", "BOUND", "ε SEC", "ε COR")
	for _, r := range all {
		t.Row(fmt.Sprint(r.Round), r.ProducedAt.Local().Format(time.TimeOnly), bits(r.Sifted), percent(r.QBER), figure(r.Efficiency), bits(r.Leak), bits(r.Lost),
			bits(r.Length), fmt.Sprintf("%d from %d", r.Blocks, r.FirstSeq), r.Bound, fmt.Sprintf("%.1g", r.EpsSec), fmt.Sprintf("%.1g", r.EpsCor))
	}
	return t.Write(a.out, "")
}

// bits prints an amount of bits as the field does.
func bits(n int64) string {
	switch {
	case n == 0:
		return "0"
	case n < 1e6:
		return fmt.Sprintf("%.4g kbit", float64(n)/1e3)
	}
	return fmt.Sprintf("%.4g Mbit", float64(n)/1e6)
}
