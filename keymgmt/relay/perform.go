package relay

import (
	"bytes"
	"context"
	"crypto/subtle"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// step takes an event and performs its effects in their order; jobs that end at
// once are followed by their events. It returns the neighbours that something was
// queued for.
func (r *Relay) step(ev any) (busy []*queue) {
	r.mu.Lock()
	out := r.core.step(ev)
	var lost []*message
	for _, s := range out.Sends {
		q := r.queues[s.To]
		if q == nil || !q.put(s) {
			lost = append(lost, s.Lost)
			continue
		}
		busy = append(busy, q)
	}
	r.mu.Unlock()
	for _, h := range out.Drops {
		wipe(h)
	}
	for _, j := range out.Jobs {
		busy = append(busy, r.perform(j)...)
	}
	for _, t := range out.Told {
		r.cfg.Sink.Told(t.From, t.Topic, bytes.Clone(t.Text))
	}
	for _, e := range out.Ends {
		e.Wait.(chan ending) <- e
	}
	for _, nak := range lost {
		if nak != nil {
			busy = append(busy, r.step(evLost{nak})...)
		}
	}
	return busy
}

// wipe gives up what a handle holds.
func wipe(h any) {
	switch h := h.(type) {
	case *pads:
		h.burn()
	case qsc.Secret:
		h.Zeroise()
	case *roundKey:
		h.wipe()
	}
}

// perform does a job and takes the step it leads to. Jobs that have to wait for
// key or for the sink do so elsewhere.
func (r *Relay) perform(job any) []*queue {
	switch j := job.(type) {
	case jobReserve:
		return r.reserve(j)
	case jobAnnounce:
		return r.taking(j.Prev, j.In, func(in *pads, err error) any { return r.announce(j, in, err) })
	case jobTake:
		return r.taking(j.Prev, j.In, func(in *pads, err error) any { return r.release(j, in, err) })
	case jobBurn:
		return r.taking(j.Prev, j.In, func(in *pads, _ error) any { in.burn(); return nil })
	case jobFold:
		into := j.Into
		if j.Key != nil {
			into = j.Key.(qsc.Secret).Expose()
		}
		subtle.XORBytes(into, into, j.Sum)
		return r.step(evFolded{j.Job})
	case jobSeal:
		return r.step(r.seal(j))
	case jobVerify:
		return r.step(verify(j))
	case jobCheck:
		ok := uhash.Equal(j.Key.(*roundKey).ackTag(j.Ack), j.Ack.Tag)
		return r.step(evChecked{j.Job, ok})
	case jobDeliver:
		r.deliver(j)
	}
	return nil
}

// now is a context that waits for nothing.
var now = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// waiting runs try at once, and once more, elsewhere and with time to wait, when
// it needs key that is not there yet. then takes its outcome.
func (r *Relay) waiting(try func(context.Context) error, then func(error) []*queue) []*queue {
	err := try(now)
	if !qsc.IsKind(err, qsc.Timeout) || r.ctx.Err() != nil {
		return then(err)
	}
	select {
	case r.slow <- struct{}{}:
	default:
		return then(qsc.E("relay", qsc.Busy, "", "too many rounds wait for key"))
	}
	r.work.Go(func() {
		defer func() { <-r.slow }()
		ctx, cancel := context.WithTimeout(r.ctx, r.cfg.Timeout/2)
		defer cancel()
		then(try(ctx))
	})
	return nil
}

// reserve takes key of a link.
func (r *Relay) reserve(j jobReserve) []*queue {
	l, ok := r.cfg.Links[j.Peer]
	if !ok {
		return r.step(evReserved{Job: j.Job, Kind: qsc.NotFound, Why: "the route begins with a node that is no neighbour"})
	}
	p := &pads{}
	return r.waiting(func(ctx context.Context) error { return l.reserve(ctx, p, j.N) }, func(err error) []*queue {
		if err != nil {
			p.fail()
			return r.step(evReserved{Job: j.Job, Void: p.void, Kind: exhausted(err), Why: err.Error()})
		}
		return r.step(evReserved{Job: j.Job, Pads: p, Out: p.stretches(), Void: p.void, Cls: l.Ledger.Status().Class})
	})
}

// exhausted is the kind of a failed wait for key: whoever waited has none.
func exhausted(err error) qsc.Kind {
	switch k := qsc.KindOf(err); k {
	case qsc.Timeout, qsc.Busy:
		return qsc.Exhausted
	case qsc.Other:
		return qsc.Corrupt
	default:
		return k
	}
}

// taking consumes the key of a link and takes the step that do makes of it.
func (r *Relay) taking(prev qsc.NodeID, in []stretch, do func(*pads, error) any) []*queue {
	l, ok := r.cfg.Links[prev]
	p := &pads{}
	return r.waiting(func(ctx context.Context) error {
		if !ok {
			return qsc.E("relay.take", qsc.NotFound, string(prev), "no link")
		}
		return l.take(ctx, p, in)
	}, func(err error) []*queue {
		if ev := do(p, err); ev != nil {
			return r.step(ev)
		}
		return nil
	})
}

// announce adds the two link keys. Hop-by-hop, it decrypts with one and encrypts
// with the other, by way of the key in clear.
func (r *Relay) announce(j jobAnnounce, in *pads, err error) any {
	out := j.Pads.(*pads)
	if err != nil {
		in.burn()
		out.burn()
		return evAnnounced{Job: j.Job, Kind: exhausted(err)}
	}
	var sum []byte
	if j.Hop {
		sum, err = recrypt(in, out, j.N, j.Carried)
	} else {
		sum, err = announce(in, out, j.N)
	}
	if err != nil {
		return evAnnounced{Job: j.Job, Kind: exhausted(err)}
	}
	return evAnnounced{Job: j.Job, Sum: sum}
}

// recrypt takes a sub-key from under one link's key to under another's. At the
// first node between, what came is the sub-key itself: the link's key.
func recrypt(in, out *pads, n int, carried []byte) ([]byte, error) {
	sub, err := release(in, n)
	if err != nil {
		out.burn()
		return nil, err
	}
	defer clear(sub)
	if carried != nil {
		subtle.XORBytes(sub, sub, carried)
	}
	text, err := release(out, n)
	if err != nil {
		return nil, err
	}
	subtle.XORBytes(text, text, sub)
	return text, nil
}

func (r *Relay) release(j jobTake, in *pads, err error) any {
	if err == nil {
		var sub []byte
		if sub, err = release(in, j.N); err == nil {
			return evTaken{Job: j.Job, Key: qsc.NewSecret(sub)}
		}
	}
	in.burn()
	return evTaken{Job: j.Job, Kind: exhausted(err)}
}

// seal lets the sub-keys leave as key and makes the round's key of them.
func (r *Relay) seal(j jobSeal) evSealed {
	subs := make([]part, 0, len(j.Parts))
	for _, p := range j.Parts {
		sub, err := release(p.Handle.(*pads), j.Terms.Offer.size())
		if err != nil {
			r.cfg.Logger.Error("relay: key of a round could not be released", "err", err)
			continue
		}
		subs = append(subs, part{Path: p.Path, Handle: qsc.NewSecret(sub)})
	}
	if len(subs) < len(j.Parts) {
		wipeParts(subs)
		return evSealed{Job: j.Job, Kind: qsc.Conflict}
	}
	return seal(j, subs)
}

// deliver gives a key to the sink, which may have to wait for its disk.
func (r *Relay) deliver(j jobDeliver) {
	r.sink <- struct{}{}
	r.work.Go(func() {
		defer func() { <-r.sink }()
		j.D.Key = j.Key.(*roundKey).take()
		if err := r.cfg.Sink.Accept(j.D); err != nil {
			r.cfg.Logger.Warn("relay: a key was refused", "from", j.D.From, "err", err)
			j.D.Key.Zeroise()
			kind := qsc.KindOf(err)
			if kind == qsc.Other {
				kind = qsc.Denied
			}
			r.step(evAccepted{Job: j.Job, Kind: kind})
			return
		}
		r.step(evAccepted{Job: j.Job})
	})
}
