package sim

import "time"

// fetching is what a slave has been told to fetch: a run of one segment's slots.
type fetching struct {
	flow        int32
	seq         uint32
	first, size int32
	named       uint64
	by          time.Duration // after it the keys expire
}

const (
	ttl      = time.Hour
	tellTime = 300 * time.Millisecond // mean, from master to slave application
	retry    = 30 * time.Second       // of a slave whose node does not answer
)

// request is a master asking its node for keys.
func (w *world) request(p int32) {
	q := &w.pairs[p]
	w.nextRequest(p)
	f := &w.flows[q.flow]
	w.rep.Requests++
	if !w.nodes[f.from].up {
		w.rep.Refused++
		return
	}
	f.waiting = append(f.waiting, waiter{w.now, q.batch})
	w.serve(q.flow)
	w.stock(q.flow)
	if len(f.waiting) > 0 {
		w.plan(wait, giveUp, q.flow)
	}
}

// serve answers requests in the order in which they came, all of a request or
// nothing.
func (w *world) serve(i int32) {
	f := &w.flows[i]
	for len(f.waiting) > 0 && f.ready() >= int64(f.waiting[0].batch) {
		q := f.waiting[0]
		f.waiting = f.waiting[1:]
		w.waits.add(seconds(w.now - q.at))
		if q.at == w.now {
			w.atOnce++
		}
		w.issue(i, int32(q.batch))
	}
}

func (w *world) giveUp(i int32) {
	f := &w.flows[i]
	for len(f.waiting) > 0 && w.now-f.waiting[0].at >= wait {
		f.waiting = f.waiting[1:]
		w.rep.Refused++
	}
	w.stock(i)
}

// issue marks and then hands out n keys.
func (w *world) issue(i, n int32) {
	f := &w.flows[i]
	w.rep.Issued += int64(n)
	for n > 0 {
		s := &f.near[0]
		k := min(n, s.size-s.next)
		first := s.next
		s.next += k
		if s.next > s.mark {
			s.mark = min(s.size, s.next+issueMark)
		}
		at := uint64(s.seq)<<32 | uint64(first)
		if at < f.top {
			w.violate("flow %d issues slot %d of segment %d again", i, first, s.seq)
		}
		f.top = at + uint64(k)
		far := f.far[s.seq]
		if far == nil {
			w.violate("flow %d issues from segment %d, which the other end does not have", i, s.seq)
			far = &farSegment{}
		}
		far.out++
		w.send(fetching{flow: i, seq: s.seq, first: first, size: k, named: s.named, by: w.now + ttl})
		if n -= k; s.next == s.size {
			far.done = true
			f.near = f.near[1:]
		}
	}
}

// send has the slave's application fetch the keys a little later.
func (w *world) send(b fetching) {
	var id int32
	if n := len(w.unused); n > 0 {
		id = w.unused[n-1]
		w.unused = w.unused[:n-1]
		w.batch[id] = b
	} else {
		id = int32(len(w.batch))
		w.batch = append(w.batch, b)
	}
	w.sometime(tellTime, fetch, id)
}

// fetch is the slave's application asking its node.
func (w *world) fetch(id int32) {
	b := w.batch[id]
	f := &w.flows[b.flow]
	if !w.nodes[f.to].up && w.now < b.by {
		w.plan(retry, fetch, id)
		return
	}
	w.unused = append(w.unused, id)
	s := f.far[b.seq]
	if s == nil || s.named != b.named {
		w.violate("flow %d: the two ends do not have the same segment %d", b.flow, b.seq)
		return
	}
	for k := b.first; k < b.first+b.size; k++ {
		if s.fetched[k/64]&(1<<(k%64)) != 0 {
			w.violate("flow %d: slot %d of segment %d is fetched twice", b.flow, k, b.seq)
		}
		s.fetched[k/64] |= 1 << (k % 64)
	}
	if w.now >= b.by {
		w.rep.Expired += int64(b.size)
	} else {
		w.rep.Fetched += int64(b.size)
	}
	// A segment goes when the master's node has nothing left of it and nothing that
	// was issued of it is outstanding: what a crash burnt will never be fetched.
	if s.out--; s.out == 0 && s.done {
		delete(f.far, b.seq)
	}
}
