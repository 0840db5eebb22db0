package node

import (
	"io"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// A site whose way back has run out of key cannot say so. The reader must know
// all the same: it waits for key, and does not take the site for dead.
func TestDryWayBackIsAWaitForKey(t *testing.T) {
	c := newCluster(t, star)
	c.put("o", randomBytes(100_000), "")
	c.stop("b")
	// left is what the drier of the two ways back still has.
	left := func() (way *linkEnd, n int64) {
		for _, e := range c.run["home"].links {
			have := e.ledger.Status().Lanes[keymgmt.RecvData(e.end)].Left
			if e.peer != "b" && (way == nil || have < n) {
				way, n = e, have
			}
		}
		return way, n
	}
	got := make(chan error, 1)
	deadline := time.Now().Add(2 * time.Minute)
	for waits := false; !waits; {
		go func() { // ends with the get
			_, err := c.home.Get(t.Context(), "o", io.Discard, 0, 1)
			got <- err
		}()
		// It ends, or it waits for key: then the lane is dry and stays so.
		for done := false; !done && !waits; {
			select {
			case err := <-got:
				if err != nil {
					t.Fatal(err)
				}
				done = true
			case <-time.After(20 * time.Millisecond):
				_, n := left()
				waits = n < dryLane
				if time.Now().After(deadline) {
					t.Fatalf("a get hangs with %d bytes of pad left", n)
				}
			}
		}
	}
	if way, n := left(); way.budget().Stall == "" {
		t.Fatalf("%d bytes of pad are left and nothing says that key is waited for", n)
	}
	for _, l := range c.net.Links {
		if _, err := Provision(t.Context(), c.net, c.data, l.ID, ProvisionOptions{Size: 1 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-got:
		if err != nil {
			t.Error("the get did not go on when the key had come:", err)
		}
	case <-time.After(2 * time.Minute):
		_, n := left()
		t.Errorf("the get still waits, %d bytes of pad are left", n)
	}
}
