package supply

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// perGift returns how many keys of a size fit into one gift.
func (s *Supply) perGift(size, names int) int {
	byMessage := (keymgmt.MaxTold - 128 - names) / (16 + size)
	byPad := (s.cfg.First - giftFront - unit) / size
	return max(1, min(byMessage, byPad))
}

// sending is a gift on its way.
type sending struct {
	to   qsc.NodeID
	key  giftKey
	body []byte
	done chan bool
}

// multicast issues keys to the first slave and gives them to the nodes of the
// others. It returns when all of these have stored them.
func (s *Supply) multicast(ctx context.Context, r keymgmt.KeyRequest, policy keymgmt.Policy, to qsc.NodeID) (*keymgmt.Keys, error) {
	keys, err := s.issue(ctx, r, policy, to)
	if err != nil {
		return nil, err
	}
	homes := map[qsc.NodeID][]qsc.AppID{}
	for _, a := range r.Slaves[1:] {
		home, _ := s.cfg.Directory.Home(a)
		homes[home] = append(homes[home], a)
	}
	var list []*sending
	for home, slaves := range homes {
		more, e := s.wrapGifts(ctx, r, keys, home, slaves)
		list = append(list, more...)
		if e != nil {
			err = e
			break
		}
	}
	if err == nil {
		err = s.send(ctx, list)
	}
	s.mu.Lock()
	for _, x := range list {
		delete(s.asks, x.key)
	}
	s.mu.Unlock()
	if err != nil {
		keys.Bytes.Zeroise()
		return nil, err
	}
	return keys, nil
}

// wrapGifts seals keys for the slaves at one node.
func (s *Supply) wrapGifts(ctx context.Context, r keymgmt.KeyRequest, keys *keymgmt.Keys, home qsc.NodeID, slaves []qsc.AppID) (list []*sending, err error) {
	names := len(r.Master) + 2
	for _, a := range slaves {
		names += len(a) + 2
	}
	for from := 0; from < len(keys.IDs); {
		n := min(s.perGift(keys.Size, names), len(keys.IDs)-from)
		x, err := s.wrapGift(ctx, r, keys, home, slaves, from, n)
		if err != nil {
			return list, err
		}
		list = append(list, x)
		from += n
	}
	return list, nil
}

func (s *Supply) wrapGift(ctx context.Context, r keymgmt.KeyRequest, keys *keymgmt.Keys, home qsc.NodeID, slaves []qsc.AppID, from, n int) (*sending, error) {
	policy, _ := s.cfg.Directory.Allowed(r.Master, slaves[0])
	ttl := policy.TTL
	if ttl == 0 {
		ttl = s.cfg.TTL
	}
	step := giftStep(n, keys.Size)
	st, runs, err := s.acquire(ctx, acquisition{home, policy, pairName{r.Master, slaves[0]}, step, 1, r.Want})
	if err != nil {
		return nil, err
	}
	g := runs[0].g
	keys.Class |= g.class
	x := &sending{to: home, key: giftKey{st.id, g.n, runs[0].at / unit}, done: make(chan bool, 1)}
	w := wire.Writer{B: make([]byte, 0, keymgmt.MaxTold)}
	w.U8(1).Raw(st.id[:]).U32(g.n).U32(runs[0].at / unit).U16(uint16(n)).U16(uint16(keys.Size))
	w.U8(uint8(keys.Class)).U8(uint8(min(keys.Hops, 255))).U8(uint8(keys.Paths)).U8(uint8(keys.Need)).U8(flag(keys.Disjoint)).U32(uint32(ttl / time.Second))
	w.Text(string(r.Master)).U8(uint8(len(slaves)))
	for _, a := range slaves {
		w.Text(string(a))
	}
	for _, id := range keys.IDs[from : from+n] {
		w.Raw(id[:])
	}
	err = s.cut(st, runs, func(_ int, _ *segment, _ uint32, b []byte) {
		head := len(w.B)
		clearText := keys.Bytes.Expose()[from*keys.Size : (from+n)*keys.Size]
		w.B = append(w.B, clearText...)
		subtle.XORBytes(w.B[head:], clearText, b[giftFront:])
		tag := giftTag(b, w.B[:head], w.B[head:])
		w.Raw(tag[:])
	}, step)
	x.body = w.B
	if err == nil && len(x.body) > keymgmt.MaxTold {
		err = qsc.E("supply.Issue", qsc.Invalid, "", "the names of the slaves do not fit into a message: name fewer")
	}
	return x, err
}

func giftTag(front, header, cipher []byte) [16]byte {
	k := new(uhash.Key)
	defer k.Zeroise()
	k.ResetFor((*[16]byte)(front[:16]), len(header)+len(cipher))
	return k.Tag((*[16]byte)(front[16:32]), header, cipher)
}

// send sends gifts until each is acknowledged. Error: Unreachable.
func (s *Supply) send(ctx context.Context, list []*sending) error {
	s.mu.Lock()
	relay := s.relay
	for _, x := range list {
		s.asks[x.key] = x.done
	}
	s.mu.Unlock()
	end := time.NewTimer(s.cfg.Wait)
	defer end.Stop()
	for len(list) > 0 {
		for _, x := range list {
			_ = relay.Tell(ctx, x.to, keymgmt.TopicGift, x.body)
		}
		again := time.NewTimer(giftResend)
		for waiting := true; waiting && len(list) > 0; {
			stored, late := list[0].wait(ctx, again.C, end.C)
			switch {
			case stored:
				list = list[1:]
			case late != nil:
				again.Stop()
				return late
			default:
				waiting = false
			}
		}
		again.Stop()
	}
	return nil
}

// wait returns when the gift is stored, or why it will not be, or neither when it
// is time to send it again.
func (x *sending) wait(ctx context.Context, again, end <-chan time.Time) (stored bool, late error) {
	const op = "supply.Issue"
	select {
	case ok := <-x.done:
		return ok, x.refused(ok)
	case <-again:
		return false, nil
	case <-ctx.Done():
		late = qsc.E(op, qsc.Unreachable, string(x.to), "the node of another slave did not answer in time: %w", context.Cause(ctx))
	case <-end:
		late = qsc.E(op, qsc.Unreachable, string(x.to), "the node of another slave does not answer: ask again later")
	}
	select {
	case ok := <-x.done: // both had come
		return ok, x.refused(ok)
	default:
		return false, late
	}
}

func (x *sending) refused(ok bool) error {
	if ok {
		return nil
	}
	return qsc.E("supply.Issue", qsc.Unreachable, string(x.to), "the node of another slave refuses the key: ask again in a second")
}

// giftAnswer takes an acknowledgement.
func (s *Supply) giftAnswer(body []byte) {
	r := wire.NewReader(body)
	r.U8()
	k := giftKey{id: r.Array16(), n: r.U32(), at: r.U32()}
	ok := r.U8() == 1
	if r.Done() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if done := s.asks[k]; done != nil {
		delete(s.asks, k)
		done <- ok
	}
}
