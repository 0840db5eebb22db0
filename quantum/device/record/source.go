package record

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/device/twins"
)

// rec is an unused record of this end's files.
type rec struct {
	in     *file
	at     int64
	serial uint64 // of arrival
	common bool   // master: the other end has it too, it stands in the queue
}

// source is the records of one end. It implements twins.Sharer and twins.Warner.
type source struct {
	path   string
	master bool

	mu      sync.Mutex
	closed  bool
	used    *journal
	files   []*file // the last is the present one
	recs    map[qsc.KeyID]*rec
	serial  uint64
	news    []qsc.KeyID            // slave: not told yet
	theirs  map[qsc.KeyID]struct{} // master: the other end has them, this one does not yet
	queue   []qsc.KeyID            // master: both ends have them; those that are gone from recs do not count
	changed chan struct{}          // closed when there is more

	alarm atomic.Pointer[string] // apart from mu, which is held while the disk works
}

var (
	_ twins.Sharer = (*source)(nil)
	_ twins.Warner = (*source)(nil)
)

func newSource(cfg Config, used *journal) *source {
	return &source{
		path: cfg.Path, master: cfg.Master, used: used, recs: map[qsc.KeyID]*rec{},
		theirs: map[qsc.KeyID]struct{}{}, changed: make(chan struct{}),
	}
}

// add takes a record's name; false is not to read on, because there are too many. A
// name that is known already is now where it was seen last: files are copied.
func (s *source) add(id qsc.KeyID, in *file, at int64) bool {
	if s.used.used(id) {
		return true
	}
	if r, ok := s.recs[id]; ok {
		r.in.left--
		in.left++
		r.in, r.at = in, at
		return true
	}
	if len(s.recs) >= 2*MaxRecords {
		s.warn("too many unused records wait: does the other end's file grow?")
		return false
	}
	s.serial++
	s.recs[id] = &rec{in: in, at: at, serial: s.serial}
	in.left++
	if !s.master {
		s.news = append(s.news, id)
	} else if _, ok := s.theirs[id]; ok {
		delete(s.theirs, id)
		s.match(id)
	}
	return true
}

func (s *source) match(id qsc.KeyID) {
	if r := s.recs[id]; !r.common {
		r.common = true
		s.queue = append(s.queue, id)
	}
}

func (s *source) drop(id qsc.KeyID, r *rec) {
	r.in.left--
	delete(s.recs, id)
}

// lose drops a record that may come again.
func (s *source) lose(id qsc.KeyID, r *rec) {
	if r.common {
		s.theirs[id] = struct{}{}
	}
	s.drop(id, r)
}

func (s *source) stir() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Held implements twins.Sharer: in the order of arrival.
func (s *source) Held(anew bool) []qsc.KeyID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if anew {
		s.news = s.news[:0]
		for id := range s.recs {
			s.news = append(s.news, id)
		}
		slices.SortFunc(s.news, func(a, b qsc.KeyID) int { return cmp.Compare(s.recs[a].serial, s.recs[b].serial) })
	}
	n := min(len(s.news), twins.MaxHeld)
	ids := slices.Clone(s.news[:n])
	s.news = slices.Delete(s.news, 0, n)
	return ids
}

// Shared implements twins.Sharer.
func (s *source) Shared(anew bool, ids []qsc.KeyID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if anew {
		clear(s.theirs)
		s.queue = s.queue[:0]
		for _, r := range s.recs {
			r.common = false
		}
	}
	for _, id := range ids {
		switch {
		case s.used.used(id):
		case s.recs[id] != nil:
			s.match(id)
		case len(s.theirs) < 2*MaxRecords:
			s.theirs[id] = struct{}{}
		}
	}
	s.stir()
}

// Limits implements twins.Source.
func (s *source) Limits(context.Context, int64) (twins.Limits, error) {
	return twins.Limits{Size: KeySize, Batch: maxBatch}, nil
}

// Draw implements twins.Source: the n records that both ends have had for longest.
// It waits until there are as many.
func (s *source) Draw(ctx context.Context, n int) (*twins.Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		ids, raw := s.gather(n)
		if len(ids) == n {
			return s.spend(ids, raw)
		}
		clear(raw)
		s.queue = slices.Insert(s.queue, 0, ids...)
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return nil, qsc.E("record.Draw", qsc.Unreachable, "", "the link is closed")
		}
	}
}

// gather takes up to n readable records from the head of the queue, which stay
// unused. raw is the caller's.
func (s *source) gather(n int) (ids []qsc.KeyID, raw []byte) {
	if len(s.queue) < n {
		return nil, nil
	}
	raw = make([]byte, 0, n*KeySize)
	used := 0
	for _, id := range s.queue {
		if len(ids) == n {
			break
		}
		used++
		if key, ok := s.read(id, raw); ok {
			ids, raw = append(ids, id), key
		}
	}
	s.queue = slices.Delete(s.queue, 0, used)
	return ids, raw
}

// read appends a record's key to raw. A record that is no longer where it was is
// dropped, and the file read anew at the next look.
func (s *source) read(id qsc.KeyID, raw []byte) ([]byte, bool) {
	r := s.recs[id]
	if r == nil {
		return raw, false
	}
	var b [Size]byte
	defer clear(b[:])
	if _, err := r.in.f.ReadAt(b[:], r.at); err != nil || !bytes.Equal(b[:idSize], id[:]) || zero(b[idSize:]) {
		s.warn("the vendor's file was overwritten: records may be lost; it should be replaced by a new file instead")
		r.in.next = 0
		s.lose(id, r)
		return raw, false
	}
	return append(raw, b[idSize:]...), true
}

// spend marks records as used and gives their keys away.
func (s *source) spend(ids []qsc.KeyID, raw []byte) (*twins.Keys, error) {
	if err := s.used.use(ids); err != nil {
		clear(raw)
		return nil, qsc.E("record.Use", qsc.KindOf(err), "", "records cannot be marked as used, so none is: mend the disk and open the link again: %w", err)
	}
	for _, id := range ids {
		s.drop(id, s.recs[id])
	}
	s.prune()
	return &twins.Keys{IDs: ids, Size: KeySize, Bytes: qsc.NewSecret(raw)}, nil
}

// Twins implements twins.Source. Errors: NotFound when one of them is not here, or
// used; then none is used.
func (s *source) Twins(_ context.Context, ids []qsc.KeyID) (*twins.Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw := make([]byte, 0, len(ids)*KeySize)
	for i, id := range ids {
		key, ok := s.read(id, raw)
		if raw = key; !ok {
			clear(raw)
			return nil, qsc.E("record.Twins", qsc.NotFound, "", "record %s, %d of %d, is not in this end's file any more, or used", id, i+1, len(ids))
		}
	}
	return s.spend(ids, raw)
}

// Alarm implements twins.Warner.
func (s *source) Alarm() string {
	if text := s.alarm.Load(); text != nil {
		return *text
	}
	return ""
}

func (s *source) warn(text string) { s.alarm.Store(&text) }

func (s *source) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, v := range s.files {
		_ = v.f.Close()
	}
	s.files = nil
	clear(s.recs)
	s.used.close()
}
