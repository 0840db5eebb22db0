package distill

import (
	"log/slog"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// measured is how many rounds the rate is taken over.
const measured = 8

// account is what an end knows of its rounds.
type account struct {
	records []quantum.Record // the last of them
	status  quantum.Status
	spent   []pace
	last    time.Time // the last round's end
	aborts  map[qsc.Kind]uint64
	faults  uint64 // all of them
	output  int64  // bytes of blocks in the last round
}

// pace is what one round gave and how long it took.
type pace struct {
	bits int64
	took time.Duration
}

func (a *account) begin(cfg Config) {
	a.aborts = map[qsc.Kind]uint64{}
	a.status = quantum.Status{Kind: cfg.Kind, Device: cfg.Device, Rate: cfg.Predicted, Class: cfg.Class}
}

// good notes a finished round. What has gone wrong since the round began, when
// there were so many faults, stays an alarm.
func (a *account) good(r quantum.Record, began, now time.Time, block int64, faults uint64) {
	a.records = append(a.records, r)
	a.records = slices.Delete(a.records, 0, max(0, len(a.records)-keptRecords))
	if a.last.After(began) {
		began = a.last
	}
	a.last = now
	a.spent = append(a.spent, pace{r.Length - r.Auth, now.Sub(began)})
	a.spent = slices.Delete(a.spent, 0, max(0, len(a.spent)-measured))
	a.output = int64(r.Blocks) * block
	st := &a.status
	st.Rate, st.QBER, st.F, st.Bound = a.rate(), r.QBER, r.Efficiency, r.Bound
	if faults == a.faults {
		st.Alarm = ""
	}
}

func (a *account) rate() qsc.BitRate {
	var sum pace
	for _, p := range a.spent {
		sum.bits += p.bits
		sum.took += p.took
	}
	if sum.took <= 0 {
		return 0
	}
	return qsc.BitRate(float64(sum.bits) / sum.took.Seconds())
}

// bad notes why there is no key.
func (a *account) bad(err error) {
	a.aborts[qsc.KindOf(err)]++
	a.faults++
	a.status.Alarm = err.Error()
}

// quality is the round's error rate, and f: what was disclosed over what the errors
// are worth. Where the protocol has reconciled itself its errors were not a quantum
// channel's bits, and so the rate is what it says and f has no meaning.
func (p *plan) quality() (qber, f float64) {
	o := p.outcome
	if p.sifted.Agreed {
		return p.seen, 0
	}
	if o.Kept == 0 {
		return 0, 0
	}
	qber = float64(o.Errors) / float64(o.Kept)
	if h := tails.Entropy(qber); h > 0 {
		f = float64(o.Leak) / (float64(o.Sifted) * h)
	}
	return qber, f
}

// Status implements quantum.Link. Under an alarm the rate is 0.
func (l *Link) Status() quantum.Status {
	p := l.cfg.Protocol.Progress()
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.account.status
	for _, b := range l.waiting {
		st.Waiting += int64(b.Key.Len())
	}
	st.NextBlock = max(p.Left, 0)
	if l.resting {
		st.NextBlock = -1
	}
	if st.Alarm == "" {
		st.Alarm = p.Alarm
	}
	if st.Alarm != "" {
		st.Rate = 0
		if p.QBER > 0 {
			st.QBER = p.QBER
		}
	}
	return st
}

// Records returns the last rounds, newest first, at most limit of them, and of a
// thousand that are kept at hand. They hold no key.
func (l *Link) Records(limit int) []quantum.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.account.records
	list := slices.Clone(all[max(0, len(all)-max(limit, 0)):])
	slices.Reverse(list)
	return list
}

// Aborts counts the rounds given up since Open, by the word of their Kind.
func (l *Link) Aborts() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := map[string]uint64{}
	for k, n := range l.account.aborts {
		list[k.String()] = n
	}
	return list
}

// Tags is how many rounds the two ends can still authenticate.
func (l *Link) Tags() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.masks.left()
}

// failed notes an abort and returns how long to rest after so many in a row.
func (l *Link) failed(err error, row int) time.Duration {
	l.mu.Lock()
	l.account.bad(err)
	l.mu.Unlock()
	rest := min(firstRest<<min(row, 10), longRest)
	level := slog.LevelWarn
	if row > 0 && row&(row-1) != 0 {
		level = slog.LevelDebug // said often enough
	}
	l.log.Log(l.ctx, level, "no key comes of this round", "kind", qsc.KindOf(err).String(), "error", err.Error(), "in_a_row", row+1, "rest", rest.String())
	return rest
}
