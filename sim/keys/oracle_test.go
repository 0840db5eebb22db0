package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
)

// oracle knows every key that any client has seen, by a salted hash: to whom it
// was issued and who has it. It keeps no key.
type oracle struct {
	salt   [16]byte
	shards [64]shard

	mu     sync.Mutex
	faults []string
	count  totals
}

// totals count keys.
type totals struct {
	issued   int64 // that a master has got
	lost     int64 // issued in an answer that the master did not get, but the harness saw
	fetched  int64 // by a slave, each slave of a multicast by itself
	unheard  int64 // of those issued: refused to their slave, which may have lost an answer with them
	stranded int64 // of those issued: refused to their slave after a kill, though it never asked before
	again    int64 // given again within the retry window
	refused  int64 // asked for by somebody else, again or by guess, and refused
}

type shard struct {
	mu    sync.Mutex
	keys  map[qsc.KeyID]entry
	words map[[wordLen]byte]struct{} // of every key
}

// entry is one key.
type entry struct {
	hash uint64
	flow uint8
	got  uint8 // bit 0: the master; bit i+1: slave i
}

const byMaster = 1

// wordLen is how much of a key is looked for in others, in bytes. Of 8 random bytes a
// long run has two alike once in 10⁵ times, of 16 never.
const wordLen = 16

func newOracle() *oracle {
	o := &oracle{}
	_, _ = rand.Read(o.salt[:]) // never fails
	for i := range o.shards {
		o.shards[i].keys, o.shards[i].words = map[qsc.KeyID]entry{}, map[[wordLen]byte]struct{}{}
	}
	return o
}

func (o *oracle) hash(b []byte) uint64 {
	h := o.digest(b)
	return binary.BigEndian.Uint64(h[:])
}

func (o *oracle) digest(b []byte) (d [wordLen]byte) {
	h := sha256.New()
	h.Write(o.salt[:])
	h.Write(b)
	copy(d[:], h.Sum(nil))
	return d
}

// fail notes a violation; text holds no key.
func (o *oracle) fail(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

func (o *oracle) fault() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.faults) == 0 {
		return ""
	}
	return fmt.Sprintf("%d violations, the first: %s", len(o.faults), o.faults[0])
}

func (o *oracle) add(n *int64, d int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	*n += int64(d)
}

func (o *oracle) totals() totals {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

func (o *oracle) shard(h uint64) *shard { return &o.shards[h%uint64(len(o.shards))] }

func (o *oracle) of(id qsc.KeyID) *shard { return o.shard(uint64(id[0]) ^ uint64(id[15])) }

// issued takes new keys of a flow. seen says that the master has got them;
// otherwise its answer was lost and only the harness knows.
func (o *oracle) issued(flow int, k *etsi014.Container, seen bool) {
	for i, id := range k.IDs {
		key := k.Bytes.Expose()[i*k.Size : (i+1)*k.Size]
		e := entry{hash: o.hash(key), flow: uint8(flow)}
		if seen {
			e.got = byMaster
		}
		s := o.of(id)
		s.mu.Lock()
		old, twice := s.keys[id]
		s.keys[id] = e
		s.mu.Unlock()
		if twice {
			o.fail("a key ID was issued to %v and again to %v", flows[old.flow], flows[flow])
		}
		o.words(flow, key)
	}
	if seen {
		o.add(&o.count.issued, len(k.IDs))
	} else {
		o.add(&o.count.lost, len(k.IDs))
	}
}

// words notes every word of a key that begins at a multiple of 8 bytes: none was in
// another.
func (o *oracle) words(flow int, key []byte) {
	for ; len(key) >= wordLen; key = key[8:] {
		h := o.digest(key[:wordLen])
		s := o.shard(uint64(h[0]))
		s.mu.Lock()
		_, twice := s.words[h]
		s.words[h] = struct{}{}
		s.mu.Unlock()
		if twice {
			o.fail("%d bytes of a key for %v were in another key", wordLen, flows[flow])
		}
	}
}

// same checks an answer that a master got again by the name of its request. It
// reports false for fresh keys.
func (o *oracle) same(flow int, k *etsi014.Container) bool {
	known := 0
	for i, id := range k.IDs {
		s := o.of(id)
		s.mu.Lock()
		e, ok := s.keys[id]
		if ok {
			e.got |= byMaster
			s.keys[id] = e
		}
		s.mu.Unlock()
		if !ok {
			continue
		}
		known++
		if int(e.flow) != flow || e.hash != o.hash(k.Bytes.Expose()[i*k.Size:(i+1)*k.Size]) {
			o.fail("%v was answered again with other key, or with that of %v", flows[flow], flows[e.flow])
		}
	}
	if known != 0 && known != len(k.IDs) {
		o.fail("%v was answered again with %d of %d keys that it had", flows[flow], known, len(k.IDs))
	}
	if known > 0 {
		o.add(&o.count.again, known)
	}
	return known > 0
}

// fetched takes what a slave got under ids. again allows what it has had: the
// same request within its retry window.
func (o *oracle) fetched(flow, slave int, k *etsi014.Container, again bool) {
	repeated := 0
	for i, id := range k.IDs {
		bit := uint8(2) << slave
		s := o.of(id)
		s.mu.Lock()
		e, ok := s.keys[id]
		had := e.got&bit != 0
		if ok {
			e.got |= bit
			s.keys[id] = e
		}
		s.mu.Unlock()
		switch {
		case !ok:
			o.fail("slave %d of %v was given a key that was never issued to anybody known", slave, flows[flow])
		case int(e.flow) != flow:
			o.fail("slave %d of %v was given a key of %v", slave, flows[flow], flows[e.flow])
		case e.hash != o.hash(k.Bytes.Expose()[i*k.Size:(i+1)*k.Size]):
			o.fail("slave %d of %v was given another key than its master", slave, flows[flow])
		case had && !again:
			o.fail("slave %d of %v was given a key twice", slave, flows[flow])
		case had:
			repeated++
		}
	}
	o.add(&o.count.again, repeated)
	o.add(&o.count.fetched, len(k.IDs)-repeated)
}

func (t totals) String() string {
	return fmt.Sprintf("%d keys issued, %d more in lost answers, %d fetched, %d gone with lost answers, %d stranded, %d given again in their window, %d requests by others, by guess or the second time refused",
		t.issued, t.lost, t.fetched, t.unheard, t.stranded, t.again, t.refused)
}
