package timetag

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// Config describes one end.
type Config struct {
	Role distill.Role
	Dir  string // where this end's tagger writes, a file for each epoch (type 1, universal)

	Window time.Duration // coincidence window, its whole width; 0: 2 ns
	Wiring Wiring        // "": DefaultWiring
	// Opposite says for either basis, key and test, whether the two values of a pair
	// differ, as those of the singlet state do. Bob's end turns his over; at Alice's it
	// has no effect.
	Opposite [2]bool

	Block    int           // sifted bits of the key basis that make a block
	Patience time.Duration // of events' time; a block ends then as it is. 0: ten minutes
	Grace    time.Duration // how late an epoch's file may come; 0: 5 s
	Acquire  int           // epochs from which the clocks' offset is searched; 0: 4

	// Remove removes the files of epochs that are done with, and those before them: who
	// has the files of both ends, or of one and the public messages, has the key. Without
	// it they are the operator's to remove.
	Remove bool

	Security bbm92.Security
	Random   io.Reader // for the values of double clicks; physical randomness
}

func (c *Config) defaults() {
	if c.Window == 0 {
		c.Window = 2 * time.Nanosecond
	}
	if c.Wiring == "" {
		c.Wiring = DefaultWiring
	}
	if c.Patience == 0 {
		c.Patience = 10 * time.Minute
	}
	if c.Grace == 0 {
		c.Grace = 5 * time.Second
	}
	if c.Acquire == 0 {
		c.Acquire = 4
	}
}

// Protocol is one end. It implements distill.Protocol.
type Protocol struct {
	cfg       Config
	dir       *dir
	detectors [4]detector
	coins     coins
	bound     *bbm92.Protocol // for the length alone
	tracker   tracker         // Bob's
	done      Epoch           // epochs before it were told of, at Bob's end answered about, once begun
	begun     bool

	mu       sync.Mutex
	progress distill.Progress
}

var _ distill.Protocol = (*Protocol)(nil)

// New opens one end. Its directory must exist. Errors: Invalid, NotFound.
func New(cfg Config) (*Protocol, error) {
	cfg.defaults()
	d, err := cfg.Wiring.detectors()
	if err != nil {
		return nil, err
	}
	if w := ticks(cfg.Window); w < 2 || w > reach || cfg.Block < 1 || cfg.Block > 1<<27 || cfg.Patience < EpochTime || cfg.Grace < 0 ||
		cfg.Acquire < 1 || cfg.Acquire > 64 || cfg.Random == nil || cfg.Role > distill.Bob {
		return nil, qsc.E("timetag.New", qsc.Invalid, "", "a window of 0.25 to 128 ns, a block of at least a bit, patience of an epoch, 1 to 64 epochs to search and random bits are needed")
	}
	bound, err := bbm92.NewProtocol(distill.Setup{Role: cfg.Role}, bbm92.Link{
		Clock: 1e9 * perNanosecond, Rate: 0.5, PZ: 0.5, Block: cfg.Block, Patience: cfg.Patience, Security: cfg.Security,
		Source: noPairs,
		Params: map[string]any{"window_s": cfg.Window.Seconds(), "wiring": string(cfg.Wiring)},
	})
	if err != nil {
		return nil, err
	}
	p := &Protocol{cfg: cfg, detectors: d, coins: coins{r: cfg.Random}, bound: bound}
	if p.dir, err = openDir(cfg.Dir); err != nil {
		return nil, err
	}
	return p, nil
}

// noPairs draws nothing: what is detected here comes from files.
func noPairs(*rand.Rand, float64) bbm92.PairSource { return none{} }

type none struct{}

func (none) Next(uint64, uint64) (pulse uint64, errZ, errX float64, ok bool) { return 0, 0, 0, false }

// Class is Simulated where the directory says that its events were drawn, as those of
// Simulate do, and else 0: what the events are worth is the operator's to know.
func (p *Protocol) Class() qsc.Class {
	if p.dir.simulated() {
		return qsc.Simulated
	}
	return 0
}

// Progress implements distill.Protocol.
func (p *Protocol) Progress() distill.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.progress
}

// Close implements distill.Protocol.
func (p *Protocol) Close() error {
	p.dir.close()
	return nil
}

// Length implements distill.Protocol by the bounds of package bbm92.
func (p *Protocol) Length(s *distill.Sifted, o distill.Outcome) (distill.Length, error) {
	l, err := p.bound.Length(s, o)
	delete(l.Params, "p_z") // of a receiver that chooses by a beam splitter it is not known
	return l, err
}

// block is what a round has gathered at one end.
type block struct {
	first, next Epoch
	key         events.Collector
	counts      bbm92.Counts
	silent      int // epochs in a row without a file at either end
	searching   bool
}

// maxSilent is how many epochs in a row may be missing.
const maxSilent = 3

const (
	hopelessQBER  = 0.15
	hopelessTests = 100
)

// first is the first whole epoch of a round.
func (p *Protocol) first(start distill.Start) Epoch {
	m := momentOf(start.At)
	e := m.epoch()
	if m != e.start() {
		e++
	}
	if p.begun && int32(p.done-e) > 0 {
		e = p.done
	}
	return e
}

// judge says whether a block is at its end.
func (p *Protocol) judge(b *block) verdict {
	have, c := b.key.Len(), b.counts
	switch {
	case c.Tests >= hopelessTests && float64(c.Errors) > hopelessQBER*float64(c.Tests):
		return noisy
	case have >= p.cfg.Block:
		return full
	case b.silent >= maxSilent:
		return stopped
	case time.Duration(b.next-b.first)*EpochTime < p.cfg.Patience:
		return goOn
	case have > 0 && have >= p.cfg.Block/10:
		return full
	}
	return scarce
}

func (v verdict) err(p *Protocol, b *block) error {
	switch v {
	case noisy:
		return qsc.E("timetag.Sift", qsc.Noisy, "", "%d of %d bits of the test basis are wrong: look for stray light, misalignment or somebody in the middle", b.counts.Errors, b.counts.Tests)
	case stopped:
		return qsc.E("timetag.Sift", qsc.Scarce, "", "no file came for %d epochs: look whether the taggers at both ends run, and whether the computers' clocks are right", maxSilent)
	case scarce:
		return qsc.E("timetag.Sift", qsc.Scarce, "", "%d sifted bits of %d coincidences in %v: look at the source, at the detectors, and whether the two clocks agree to a quarter of a second", b.key.Len(), b.counts.Coincidences, p.cfg.Patience)
	}
	return nil
}

// Sift implements distill.Protocol.
func (p *Protocol) Sift(ctx context.Context, w distill.Wire, start distill.Start) (*distill.Sifted, error) {
	b := &block{}
	b.first = p.first(start)
	b.next = b.first
	var v verdict
	var err error
	if p.cfg.Role == distill.Alice {
		v, err = p.tell(ctx, w, b)
	} else {
		v, err = p.answer(ctx, w, b)
	}
	if err == nil {
		err = v.err(p, b)
	}
	p.note(b, err)
	if err != nil {
		b.key.Zeroise()
		return nil, err
	}
	return &distill.Sifted{Bits: b.key.Bits(), QBER: b.counts.Estimate(), Until: b.next.start().time(start.At), Private: b.counts}, nil
}

// note keeps how far a block is, for Progress.
func (p *Protocol) note(b *block, err error) {
	have, took := float64(b.key.Len()), (time.Duration(b.next-b.first) * EpochTime).Seconds()
	p.mu.Lock()
	defer p.mu.Unlock()
	g := &p.progress
	g.Fraction = min(have/float64(p.cfg.Block), 1)
	if b.counts.Tests > 0 {
		g.QBER = float64(b.counts.Errors) / float64(b.counts.Tests)
	}
	if took > 0 {
		g.Sifted = qsc.BitRate(have / took)
	}
	if g.Left = 0; g.Sifted > 0 {
		g.Left = time.Duration(max(float64(p.cfg.Block)-have, 0) / float64(g.Sifted) * float64(time.Second))
	}
	switch k := qsc.KindOf(err); {
	case k == qsc.Noisy || k == qsc.Scarce || k == qsc.Corrupt:
		g.Alarm = err.Error()
	case err == nil && b.searching:
		g.Alarm = "the offset of the two clocks is being searched"
	case err == nil:
		g.Alarm = ""
	}
}

// keepBehind is how many epochs before the present one may still be asked for: by the
// offset of the clocks, in either direction.
const keepBehind = 4

// sweep removes the files that are done with when an epoch is, a few at a time.
func (p *Protocol) sweep(e Epoch) {
	if !p.cfg.Remove {
		return
	}
	for n := range Epoch(64) {
		p.dir.remove(e - keepBehind - n)
	}
}

// load reads an epoch's clicks; nil when its file does not come.
func (p *Protocol) load(ctx context.Context, e Epoch) (*clicks, error) {
	raw, err := p.dir.await(ctx, e, p.cfg.Grace)
	if raw == nil || err != nil {
		return nil, err
	}
	k, err := read(raw, p.detectors, &p.coins)
	clear(raw.Events)
	return k, err
}
