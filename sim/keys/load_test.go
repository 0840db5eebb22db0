package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	mrand "math/rand/v2"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/sim/tap"
)

// worker draws key for one flow, one batch after the other, and has the slaves
// fetch it, in all the ways that clients have.
type worker struct {
	w      *world
	flow   int
	f      flow
	r      *mrand.Rand
	master *etsi014.Client
	slaves []*etsi014.Client
	late   []batch // issued and still to be fetched
	serial int
}

// batch is what one answer to a master held.
type batch struct {
	ids   []qsc.KeyID
	kills int64 // of the nodes concerned, when it was asked for
}

func (w *world) worker(flow int, r *mrand.Rand) *worker {
	k := &worker{w: w, flow: flow, f: flows[flow], r: r, master: w.clientOf(flows[flow].master)}
	for _, s := range k.f.slaves {
		k.slaves = append(k.slaves, w.clientOf(s))
	}
	return k
}

// kills counts the kills of the flow's nodes.
func (k *worker) kills() (n int64) {
	n = k.w.killsOf(k.w.saes[k.f.master].Node)
	for _, s := range k.f.slaves {
		n += k.w.killsOf(k.w.saes[s].Node)
	}
	return n
}

// chance is true once in n times.
func (k *worker) chance(n int) bool { return k.r.IntN(n) == 0 }

// step draws one batch and does with it what the dice say.
func (k *worker) step(ctx context.Context) error {
	defer k.w.Prog.Add(tap.OpsEnded, 1)
	k.w.Prog.Add(tap.OpsBegun, 1)
	if k.chance(25) {
		k.shoutEnc(ctx)
	}
	b, err := k.draw(ctx)
	if err != nil {
		return err
	}
	if k.chance(8) {
		k.late = append(k.late, b)
		return nil
	}
	if len(k.late) > 4 {
		if err := k.fetchLate(ctx); err != nil {
			return err
		}
	}
	return k.fetch(ctx, b)
}

// request is a random one.
func (k *worker) request() etsi014.KeyRequest {
	q := etsi014.KeyRequest{Number: 64 + k.r.IntN(65)}
	if k.chance(8) {
		q.Size = []int64{128, 192, 512, 264}[k.r.IntN(4)]
	}
	for _, s := range k.f.slaves[1:] {
		q.Slaves = append(q.Slaves, string(s))
	}
	return q
}

// shoutEnc loses the answer to a request for new keys. What it burns nobody has.
func (k *worker) shoutEnc(ctx context.Context) {
	q := k.request()
	k.w.saes[k.f.master].shout(ctx, post(k.f.slaves[0], "enc_keys", q.Append(nil)), k.r.IntN(2)*k.r.IntN(3000))
}

// draw takes new keys, as long as it may take.
func (k *worker) draw(ctx context.Context) (batch, error) {
	q := k.request()
	named := k.f.retry && k.chance(2)
	b, began := batch{kills: k.kills()}, time.Now() // before the first request that may be acted on
	if named {
		k.serial++
		q.Optional = []etsi014.Extension{{Name: "qsc_retry", Value: fmt.Appendf(nil, "%q", fmt.Sprint(k.flow, "-", k.r.Uint64(), "-", k.serial))}}
		if k.chance(2) {
			k.w.saes[k.f.master].shout(ctx, post(k.f.slaves[0], "enc_keys", q.Append(nil)), k.r.IntN(2))
		}
	}
	c, err := k.insist(ctx, "enc_keys", func() (*etsi014.Container, error) { return k.master.EncKeys(ctx, string(k.f.slaves[0]), q) })
	if err != nil {
		return b, err
	}
	defer c.Bytes.Zeroise()
	if len(c.IDs) != q.Number || q.Size != 0 && int64(c.Size)*8 != q.Size {
		k.w.oracle.fail("%v asked for %d keys of %d bits and got %d of %d bytes", k.f, q.Number, q.Size, len(c.IDs), c.Size)
	}
	b.ids = c.IDs
	k.w.oracle.issued(k.flow, c, !k.chance(30)) // or its answer was lost, and its slave learns of the keys all the same
	if named && k.chance(2) {
		k.drawAgain(ctx, q, began)
	}
	return b, nil
}

// drawAgain asks by the same name: the same keys, or new ones where a crash has
// forgotten the first. What the slave does not learn of is left to expire.
func (k *worker) drawAgain(ctx context.Context, q etsi014.KeyRequest, first time.Time) {
	c, err := k.master.EncKeys(ctx, string(k.f.slaves[0]), q)
	if err != nil {
		return
	}
	defer c.Bytes.Zeroise()
	if k.w.oracle.same(k.flow, c) {
		return
	}
	k.w.oracle.issued(k.flow, c, true)
	if time.Since(first) < retryWindow/2 && k.w.calmSince(first) {
		k.w.oracle.fail("%v: the same request within its window was answered with new keys, though no node was killed", k.f)
	}
}

// fetchLate fetches what was left for later.
func (k *worker) fetchLate(ctx context.Context) error {
	for len(k.late) > 0 {
		b := k.late[0]
		k.late = k.late[1:]
		if err := k.fetch(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// fetch has every slave fetch a batch.
func (k *worker) fetch(ctx context.Context, b batch) error {
	for i := range k.slaves {
		parts := [][]qsc.KeyID{b.ids}
		if k.chance(3) { // in two requests, the last keys first
			cut := 1 + k.r.IntN(len(b.ids)-1)
			parts = [][]qsc.KeyID{b.ids[cut:], b.ids[:cut]}
		}
		for _, ids := range parts {
			if err := k.fetchPart(ctx, b, i, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *worker) fetchPart(ctx context.Context, b batch, i int, ids []qsc.KeyID) error {
	if k.chance(12) {
		k.intrude(ctx, ids)
	}
	lost, began := false, time.Now()
	if k.chance(12) { // the answer is lost
		k.w.saes[k.f.slaves[i]].shout(ctx, post(k.f.master, "dec_keys", etsi014.AppendKeyIDs(nil, ids)), k.r.IntN(2)*k.r.IntN(3000))
		lost = true
	}
	c, err := k.insist(ctx, "dec_keys", func() (*etsi014.Container, error) {
		c, err := k.slaves[i].DecKeys(ctx, string(k.f.master), ids...)
		lost = lost || err != nil && !qsc.IsKind(err, qsc.NotFound) // that try may have been acted on
		return c, err
	})
	if qsc.IsKind(err, qsc.NotFound) {
		k.gone(b, i, len(ids), lost)
		return nil
	}
	if err != nil {
		return err
	}
	k.w.oracle.fetched(k.flow, i, c, false)
	c.Bytes.Zeroise()
	if k.chance(8) {
		k.fetchAgain(ctx, i, ids, began)
	}
	if k.chance(20) {
		k.guess(ctx, i, ids)
	}
	return nil
}

// gone judges that a slave was refused keys which its master has.
func (k *worker) gone(b batch, i, n int, lost bool) {
	o := k.w.oracle
	switch {
	case lost:
		o.add(&o.count.unheard, n)
	case b.kills == k.kills():
		o.fail("slave %d of %v was refused %d keys that nobody fetched, and no node was killed", i, k.f, n)
	default:
		o.add(&o.count.stranded, n)
	}
}

// fetchAgain replays a request that was first made at a time and answered since. Its
// window began between.
func (k *worker) fetchAgain(ctx context.Context, i int, ids []qsc.KeyID, first time.Time) {
	c, err := k.slaves[i].DecKeys(ctx, string(k.f.master), ids...)
	k.judge(err, "a replayed request")
	if err != nil {
		if qsc.IsKind(err, qsc.NotFound) && k.f.retry && k.w.calmSince(first.Add(-time.Second)) && time.Since(first) < retryWindow/2 {
			k.w.oracle.fail("slave %d of %v was refused a repeated request within its window", i, k.f)
		}
		return
	}
	k.w.oracle.fetched(k.flow, i, c, k.f.retry) // it was asked for right after the first answer
	c.Bytes.Zeroise()
}

// intrude has somebody who was not named ask for keys.
func (k *worker) intrude(ctx context.Context, ids []qsc.KeyID) {
	who := homes[k.r.IntN(len(homes))].id
	if slices.Contains(k.f.slaves, who) {
		return
	}
	master := k.f.master
	if k.chance(3) {
		master = homes[k.r.IntN(len(homes))].id // or under another master's name
	}
	c, err := k.w.intruder(who).DecKeys(ctx, string(master), ids...)
	if err == nil {
		c.Bytes.Zeroise()
		k.w.oracle.fail("%s was given keys of %v, asked for as %s's", who, k.f, master)
		return
	}
	k.judge(err, "somebody else's request")
}

// guess asks for keys that were never issued, alone or beside others.
func (k *worker) guess(ctx context.Context, i int, ids []qsc.KeyID) {
	var id qsc.KeyID
	_, _ = rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	if k.chance(2) {
		id = ids[0]
		id[k.r.IntN(6)] ^= 1 << k.r.IntN(8)
	}
	c, err := k.slaves[i].DecKeys(ctx, string(k.f.master), id)
	if err == nil {
		c.Bytes.Zeroise()
		k.w.oracle.fail("slave %d of %v was given a key under a guessed ID", i, k.f)
		return
	}
	k.judge(err, "a guessed ID")
}

// judge counts a refusal. Anything but "not yours", "not here" and what a fault
// explains is wrong.
func (k *worker) judge(err error, what string) {
	switch qsc.KindOf(err) {
	case qsc.Denied, qsc.NotFound:
		k.w.oracle.add(&k.w.oracle.count.refused, 1)
	case qsc.Unreachable, qsc.Timeout, qsc.Exhausted:
	default:
		if err != nil {
			k.w.oracle.fail("%s: %v", what, err)
		}
	}
}

// insist asks until there is an answer, for as long as patience lasts. NotFound
// is one.
func (k *worker) insist(ctx context.Context, what string, call func() (*etsi014.Container, error)) (*etsi014.Container, error) {
	end := time.Now().Add(patience)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		c, err := call()
		switch qsc.KindOf(err) {
		case qsc.Unreachable, qsc.Timeout, qsc.Exhausted:
		default:
			if err == nil || qsc.IsKind(err, qsc.NotFound) {
				return c, err
			}
			return nil, fmt.Errorf("%s of %v: an error that no fault excuses: %w", what, k.f, err)
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%s of %v: nothing for %v, at last: %w", what, k.f, patience, err)
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, errors.Join(err, ctx.Err())
		case <-t.C:
		}
	}
}
