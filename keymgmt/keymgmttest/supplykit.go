package keymgmttest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// SupplyPair is a room under test: the supplies of two nodes. Applications a1 and
// a2 live at A, b1 and b2 at B; all pairs are allowed, without retry.
type SupplyPair struct{ A, B keymgmt.Supply }

// ConformSupply runs the conformance kit on a room.
func ConformSupply(t *testing.T, open func(t *testing.T) SupplyPair) {
	for _, p := range []struct {
		name string
		run  func(*testing.T, SupplyPair)
	}{{"once", supplyOnce}, {"all or none", supplyAllOrNone}, {"limits", supplyLimits}, {"stock", supplyStock}, {"same node", supplySameNode},
		{"multicast", supplyMulticast}, {"crowd", supplyCrowd}, {"stream", supplyStreamOnce}, {"random", supplyRandom}} {
		t.Run(p.name, func(t *testing.T) { p.run(t, open(t)) })
	}
}

func request(n int, slaves ...qsc.AppID) keymgmt.KeyRequest {
	return keymgmt.KeyRequest{Master: "a1", Slaves: slaves, Number: n, Want: keymgmt.AnyClass}
}

// issue asks again while key is on its way.
func issue(t *testing.T, s keymgmt.Supply, r keymgmt.KeyRequest) *keymgmt.Keys {
	t.Helper()
	for range 50 {
		k, err := s.Issue(t.Context(), r)
		if !qsc.IsKind(err, qsc.Exhausted) {
			must(t, err)
			return k
		}
	}
	t.Fatal("no key in time")
	return nil
}

func supplyOnce(t *testing.T, p SupplyPair) {
	k := issue(t, p.A, request(7, "b1"))
	if len(k.IDs) != 7 || k.Size != int(p.A.Limits().KeySize.Bytes()) || k.Bytes.Len() != 7*k.Size || k.Paths < 1 || k.Need < 1 {
		t.Fatalf("an answer of %d keys of %d bytes, %d of %d paths", len(k.IDs), k.Size, k.Need, k.Paths)
	}
	ids := slices.Clone(k.IDs)
	slices.Reverse(ids)
	got, err := p.B.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: ids})
	must(t, err)
	for i := range ids {
		if got.IDs[i] != ids[i] || string(got.Bytes.Expose()[i*k.Size:(i+1)*k.Size]) != string(k.Bytes.Expose()[(6-i)*k.Size:(7-i)*k.Size]) {
			t.Fatal("the keys are not those of the identifiers, in their order")
		}
	}
	_, err = p.B.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: ids[3:4]})
	want(t, err, qsc.NotFound)
}

func supplyAllOrNone(t *testing.T, p SupplyPair) {
	k := issue(t, p.A, request(3, "b1"))
	unknown := qsc.KeyID{6: 0x40, 8: 0x80, 15: 9}
	fetch := func(slave, master qsc.AppID, ids ...qsc.KeyID) error {
		_, err := p.B.Fetch(t.Context(), keymgmt.FetchRequest{Slave: slave, Master: master, IDs: ids})
		return err
	}
	want(t, fetch("b1", "a1", k.IDs[0], unknown), qsc.NotFound)
	want(t, fetch("b1", "a1", k.IDs[0], k.IDs[0]), qsc.NotFound)
	want(t, fetch("b2", "a1", k.IDs...), qsc.Denied)
	want(t, fetch("b1", "a2", k.IDs...), qsc.Denied)
	want(t, fetch("b2", "a1", unknown), qsc.NotFound)
	must(t, fetch("b1", "a1", k.IDs...))
	want(t, fetch("b1", "a1", k.IDs...), qsc.NotFound)
}

func supplyLimits(t *testing.T, p SupplyPair) {
	l := p.A.Limits()
	for name, change := range map[string]func(r *keymgmt.KeyRequest){
		"odd size": func(r *keymgmt.KeyRequest) { r.Size = l.KeySize + 1 }, "small": func(r *keymgmt.KeyRequest) { r.Size = l.MinSize - 8 },
		"large": func(r *keymgmt.KeyRequest) { r.Size = l.MaxSize + 8 }, "many": func(r *keymgmt.KeyRequest) { r.Number = l.MaxPerRequest + 1 },
		"negative": func(r *keymgmt.KeyRequest) { r.Number = -1 }, "no slave": func(r *keymgmt.KeyRequest) { r.Slaves = nil },
		"twice": func(r *keymgmt.KeyRequest) { r.Slaves = []qsc.AppID{"b1", "b1"} },
	} {
		r := request(1, "b1")
		change(&r)
		if _, err := p.A.Issue(t.Context(), r); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := p.A.Issue(t.Context(), request(1, "a1"))
	want(t, err, qsc.Denied)
	r := request(1, "b1")
	r.Size = l.MaxSize
	if k := issue(t, p.A, r); k.Size != int(l.MaxSize.Bytes()) {
		t.Errorf("a key of %d bytes", k.Size)
	}
	_, err = p.B.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1"})
	want(t, err, qsc.Invalid)
}

func supplyStock(t *testing.T, p SupplyPair) {
	issue(t, p.A, request(1, "b1"))
	s, err := p.A.Stock(t.Context(), "a1", "b1")
	must(t, err)
	if s.Source == s.Target || s.Keys < 0 || s.MaxKeys < s.Keys {
		t.Fatalf("%+v", s)
	}
	_, err = p.A.Stock(t.Context(), "a1", "a1")
	want(t, err, qsc.Denied)
}

func supplySameNode(t *testing.T, p SupplyPair) {
	k := issue(t, p.A, request(2, "a2"))
	got, err := p.A.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "a2", Master: "a1", IDs: k.IDs})
	must(t, err)
	if !got.Bytes.Equal(k.Bytes) {
		t.Fatal("the two ends differ")
	}
}

func supplyMulticast(t *testing.T, p SupplyPair) {
	if p.A.Limits().MaxSlaves < 2 {
		t.Skip("no multicast")
	}
	k := issue(t, p.A, request(5, "b1", "b2", "a2"))
	for _, slave := range []qsc.AppID{"b1", "a2", "b2"} {
		s := p.B
		if slave == "a2" {
			s = p.A
		}
		got, err := s.Fetch(t.Context(), keymgmt.FetchRequest{Slave: slave, Master: "a1", IDs: k.IDs})
		must(t, err)
		if !got.Bytes.Equal(k.Bytes) {
			t.Fatal("the two ends differ")
		}
	}
}

// supplyCrowd: many callers at once, every key twice in all.
func supplyCrowd(t *testing.T, p SupplyPair) {
	const callers, rounds, batch = 8, 25, 10
	var mu sync.Mutex
	seen := map[qsc.KeyID]bool{}
	values := map[string]bool{}
	var work sync.WaitGroup
	for range callers {
		work.Go(func() {
			for range rounds {
				k, err := p.A.Issue(t.Context(), request(batch, "b1"))
				if qsc.IsKind(err, qsc.Exhausted) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				got, err := p.B.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs})
				if err != nil || !got.Bytes.Equal(k.Bytes) {
					t.Error("the two ends differ", err)
					return
				}
				mu.Lock()
				for i, id := range k.IDs {
					v := string(k.Bytes.Expose()[i*k.Size : (i+1)*k.Size])
					if seen[id] || values[v] {
						t.Error("a key or an identifier came twice")
					}
					seen[id], values[v] = true, true
				}
				mu.Unlock()
			}
		})
	}
	work.Wait()
	if len(seen) < callers*rounds*batch/2 {
		t.Fatalf("only %d keys came", len(seen))
	}
}

func supplyStreamOnce(t *testing.T, p SupplyPair) {
	const chunk = 100
	id := [16]byte{6: 0x40, 8: 0x80, 15: 1}
	open := func(s keymgmt.Supply, from, to qsc.AppID) (keymgmt.Stream, error) {
		return s.OpenStream(t.Context(), keymgmt.StreamRequest{Source: from, Destination: to, ID: id, QoS: keymgmt.QoS{ChunkSize: chunk}})
	}
	a, err := open(p.A, "a1", "b1")
	must(t, err)
	b, err := open(p.B, "b1", "a1") // perhaps before B has heard of it
	must(t, err)
	for _, s := range []keymgmt.Stream{a, b} {
		select {
		case <-s.Connected():
		case <-time.After(30 * time.Second):
			t.Fatal("the two ends do not meet")
		}
	}
	_, err = open(p.B, "b2", "a1")
	want(t, err, qsc.Busy)
	x, y := make([]byte, chunk), make([]byte, chunk)
	for _, i := range []uint32{0, 1, 5, 3, 2, 90} {
		_, err = a.Get(t.Context(), i, x)
		must(t, err)
		_, err = b.Get(t.Context(), i, y)
		must(t, err)
		if string(x) != string(y) {
			t.Fatalf("chunk %d differs", i)
		}
		_, err = a.Get(t.Context(), i, x)
		want(t, err, qsc.NotFound)
	}
	_, err = a.Get(t.Context(), 7, x[:chunk-1])
	want(t, err, qsc.Invalid)
	must(t, a.Close())
	_, err = a.Get(t.Context(), 8, x)
	want(t, err, qsc.Unreachable)
	must(t, b.Close())
}

func supplyRandom(t *testing.T, p SupplyPair) {
	x, y := make([]byte, 64), make([]byte, 64)
	_, err := p.A.Random(t.Context(), x, keymgmt.AnyClass)
	must(t, err)
	_, err = p.A.Random(t.Context(), y, keymgmt.AnyClass)
	must(t, err)
	if string(x) == string(y) {
		t.Fatal("the same random bytes twice")
	}
}
