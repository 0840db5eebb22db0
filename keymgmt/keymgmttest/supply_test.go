package keymgmttest

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

func TestDoubleDeliversOnce(t *testing.T) {
	s := NewSupply(SupplyConfig{Stock: 320, Class: qsc.Simulated})
	k, err := s.Issue(t.Context(), keymgmt.KeyRequest{Master: "a", Slaves: []qsc.AppID{"b"}, Number: 10, Want: keymgmt.AnyClass})
	must(t, err)
	_, err = s.Issue(t.Context(), keymgmt.KeyRequest{Master: "a", Slaves: []qsc.AppID{"b"}, Want: keymgmt.AnyClass})
	want(t, err, qsc.Exhausted)
	_, err = s.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "c", Master: "a", IDs: k.IDs})
	want(t, err, qsc.Denied)
	got, err := s.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b", Master: "a", IDs: k.IDs})
	must(t, err)
	if !got.Bytes.Equal(k.Bytes) {
		t.Fatal("the two ends have different keys")
	}
	_, err = s.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b", Master: "a", IDs: k.IDs[:1]})
	want(t, err, qsc.NotFound)
}

func TestDoubleRetryAndExpiry(t *testing.T) {
	now := time.Unix(1000, 0)
	s := NewSupply(SupplyConfig{Now: func() time.Time { return now },
		Allowed: func(_, _ qsc.AppID) (keymgmt.Policy, bool) {
			return keymgmt.Policy{Retry: time.Second, TTL: time.Minute}, true
		}})
	req := keymgmt.KeyRequest{Master: "a", Slaves: []qsc.AppID{"b"}, Client: "x", Retry: "r"}
	k, err := s.Issue(t.Context(), req)
	must(t, err)
	again, err := s.Issue(t.Context(), req)
	must(t, err)
	if again.IDs[0] != k.IDs[0] || !again.Bytes.Equal(k.Bytes) {
		t.Fatal("a retry got another key")
	}
	now = now.Add(time.Minute)
	_, err = s.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b", Master: "a", IDs: k.IDs})
	want(t, err, qsc.NotFound)
	if waiting, expired := s.Outstanding(); waiting != 0 || expired != 1 {
		t.Fatalf("%d wait, %d expired", waiting, expired)
	}
}

func TestDoubleStream(t *testing.T) {
	s := NewSupply(SupplyConfig{Chunks: 2})
	a, err := s.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "a", Destination: "b", QoS: keymgmt.QoS{ChunkSize: 64}})
	must(t, err)
	b, err := s.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "b", Destination: "a", ID: a.ID()})
	must(t, err)
	<-a.Connected()
	_, err = s.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "c", Destination: "a", ID: a.ID()})
	want(t, err, qsc.Busy)
	x, y := make([]byte, 64), make([]byte, 64)
	_, err = a.Get(t.Context(), 1, x)
	must(t, err)
	_, err = b.Get(t.Context(), 1, y)
	must(t, err)
	if string(x) != string(y) {
		t.Fatal("the two ends have different chunks")
	}
	_, err = b.Get(t.Context(), 1, y)
	want(t, err, qsc.NotFound)
	_, err = b.Get(t.Context(), 2, y)
	want(t, err, qsc.Exhausted)
	must(t, a.Close())
	_, err = b.Get(t.Context(), 0, y)
	must(t, err)
	_, err = b.Get(t.Context(), 2, y)
	want(t, err, qsc.Unreachable)
	must(t, b.Close())
}

func TestDoubleConforms(t *testing.T) {
	homes := map[qsc.AppID]qsc.NodeID{"a1": "a", "a2": "a", "b1": "b", "b2": "b"}
	ConformSupply(t, func(*testing.T) SupplyPair {
		s := NewSupply(SupplyConfig{Homes: homes})
		return SupplyPair{A: s, B: s}
	})
}
