package tunnel_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/tunneltest"
)

// box is an encryptor in memory.
type box struct {
	mu       sync.Mutex
	inUse    [32]byte
	old      [32]byte
	staged   *tunnel.Key
	switched bool
	fail     string // the step that fails
	after    bool   // it fails after it took effect
	steps    []string
	held     []qsc.Secret // all that were ever staged
}

var errBox = errors.New("the encryptor refuses")

func (b *box) step(name string, effect func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.steps = append(b.steps, name)
	if b.fail == name && !b.after {
		return errBox
	}
	effect()
	if b.fail == name {
		return errBox
	}
	return nil
}

func (b *box) Stage(_ context.Context, k tunnel.Key) error {
	b.drop()
	b.held, b.staged = append(b.held, k.Secret), &k
	return b.step("stage", func() {})
}

func (b *box) Switch(_ context.Context, id qsc.KeyID) error {
	return b.step("switch", func() {
		if b.staged != nil && b.staged.ID == id && !b.switched {
			b.old, b.switched = b.inUse, true
			copy(b.inUse[:], b.staged.Secret.Expose())
		}
	})
}

func (b *box) Settle(_ context.Context, id qsc.KeyID) error {
	return b.step("settle", b.drop)
}

func (b *box) Revert(_ context.Context, id qsc.KeyID) error {
	return b.step("revert", func() {
		if b.switched {
			b.inUse = b.old
		}
		b.drop()
	})
}

func (b *box) drop() {
	if b.staged != nil {
		b.staged.Secret.Zeroise()
	}
	b.staged, b.switched = nil, false
}

func (b *box) key() [32]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inUse
}

func TestRotate(t *testing.T) {
	a, b, keys := &box{}, &box{}, &tunneltest.Keys{}
	lead, follow := tunneltest.Rig(t, keys, a, b)
	dir := t.TempDir()
	lead.State.Path, follow.State.Path = filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for range 3 {
		before := a.key()
		if err := lead.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a.key() != b.key() || a.key() == before {
			t.Fatal("the ends do not agree on a new key")
		}
	}
	if want := []string{"stage", "switch", "settle"}; !slices.Equal(a.steps[:3], want) || !slices.Equal(b.steps[:3], want) {
		t.Errorf("steps %v and %v, want %v", a.steps[:3], b.steps[:3], want)
	}
	la, errA := lead.State.Last()
	lb, errB := follow.State.Last()
	if errA != nil || errB != nil || la != lb || la == (qsc.KeyID{}) {
		t.Errorf("remembered %v (%v) and %v (%v)", la, errA, lb, errB)
	}
	info, err := os.Stat(lead.State.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file %v, %v", info.Mode(), err)
	}
	wiped(t, a, b)
}

// wiped checks that no key is left in memory but in the encryptors.
func wiped(t *testing.T, boxes ...*box) {
	t.Helper()
	for _, b := range boxes {
		for _, k := range b.held {
			if slices.ContainsFunc(k.Expose(), func(c byte) bool { return c != 0 }) {
				t.Error("a key was left in memory after the rotation")
			}
		}
	}
}

// gone is an encryptor that does not answer while down is set.
type gone struct {
	box
	down bool
}

var errGone = qsc.E("gone", qsc.Unreachable, "", "the encryptor does not answer")

func (g *gone) Stage(ctx context.Context, k tunnel.Key) error {
	if err := g.box.Stage(ctx, k); !g.down {
		return err
	}
	return errGone
}

func (g *gone) Revert(ctx context.Context, id qsc.KeyID) error {
	if g.down {
		return errGone
	}
	return g.box.Revert(ctx, id)
}

// A follower whose encryptor is gone says so, once: its answer is no lost one,
// the key is not asked for again, and nobody takes it for staged.
func TestFollowersEncryptorGone(t *testing.T) {
	a, b, keys := &box{}, &gone{down: true}, &tunneltest.Keys{}
	lead, _ := tunneltest.Rig(t, keys, a, b)
	for range 2 {
		err := lead.Rotate(t.Context())
		if !qsc.IsKind(err, qsc.Unreachable) || !strings.Contains(err.Error(), "the encryptor does not answer") {
			t.Fatalf("the rotation ends with %v", err)
		}
	}
	if keys.Drawn != 1 || len(a.steps) != 0 || !slices.Equal(b.steps, []string{"stage"}) {
		t.Errorf("%d keys drawn; the leader's encryptor saw %v, the follower's %v", keys.Drawn, a.steps, b.steps)
	}
	b.down = false
	if err := lead.Rotate(t.Context()); err != nil || a.key() != b.key() {
		t.Errorf("after the encryptor came back: %v, the ends agree: %t", err, a.key() == b.key())
	}
}

// leaver is an encryptor whose user gives up at a step.
type leaver struct {
	box
	at    string
	leave context.CancelFunc
}

func (l *leaver) Stage(ctx context.Context, k tunnel.Key) error {
	if l.at == "stage" {
		l.leave()
	}
	return errors.Join(l.box.Stage(ctx, k), ctx.Err())
}

func (l *leaver) Switch(ctx context.Context, id qsc.KeyID) error {
	if l.at == "switch" {
		l.leave()
	}
	return errors.Join(l.box.Switch(ctx, id), ctx.Err())
}

// A user who leaves before the ends switch gets the old key at both, and one who
// leaves in between the new one.
func TestLeaving(t *testing.T) {
	for at, want := range map[string]bool{"stage": false, "switch": true} {
		ctx, cancel := context.WithCancel(t.Context())
		a, b := &leaver{at: at, leave: cancel}, &box{}
		lead, _ := tunneltest.Rig(t, &tunneltest.Keys{}, a, b)
		err := lead.Rotate(ctx)
		if changed := a.key() != [32]byte{}; a.key() != b.key() || changed != want || (err == nil) != want {
			t.Errorf("at %s: the ends agree: %t, the key is new: %t, error %v", at, a.key() == b.key(), changed, err)
		}
		wiped(t, &a.box, b)
	}
}

// Whatever step fails at whichever end, before or after its effect, the ends
// agree again at the latest when the next rotation succeeds; and as long as no
// answer is lost they agree right after the failure.
func TestFailedSteps(t *testing.T) {
	for _, step := range []string{"stage", "switch", "settle"} {
		for _, who := range []string{"leader", "follower"} {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/after=%t", step, who, after), func(t *testing.T) {
					a, b := &box{}, &box{}
					lead, _ := tunneltest.Rig(t, &tunneltest.Keys{}, a, b)
					if err := lead.Rotate(t.Context()); err != nil {
						t.Fatal(err)
					}
					bad := map[string]*box{"leader": a, "follower": b}[who]
					bad.fail, bad.after = step, after
					if err := lead.Rotate(t.Context()); err == nil {
						t.Fatal("a rotation with a failing step succeeded")
					}
					if a.key() != b.key() {
						t.Error("after a failed step the ends disagree")
					}
					bad.fail = ""
					if err := lead.Rotate(t.Context()); err != nil {
						t.Fatalf("the rotation after it: %v", err)
					}
					if a.key() != b.key() {
						t.Error("the ends disagree")
					}
					wiped(t, a, b)
				})
			}
		}
	}
}

// cutter is a network that loses one message: it breaks the connection before
// or after the follower has seen the n-th request.
type cutter struct {
	net.Conn
	left   *int
	answer bool
}

func (c cutter) Write(p []byte) (int, error) {
	*c.left--
	if *c.left == 0 && !c.answer {
		_ = c.Close()
	}
	return c.Conn.Write(p)
}

func (c cutter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if *c.left == 0 && c.answer && err == nil {
		*c.left--
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// A broken connection at any message costs a retry, and no key is lost.
func TestBrokenConnection(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for _, lostAnswer := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/answer=%t", n, lostAnswer), func(t *testing.T) {
				t.Parallel()
				a, b, keys := &box{}, &box{}, &tunneltest.Keys{}
				lead, _ := tunneltest.Rig(t, keys, a, b)
				dial, left := lead.Dial, n
				lead.Dial = func(ctx context.Context) (net.Conn, error) {
					c, err := dial(ctx)
					return cutter{c, &left, lostAnswer}, err
				}
				if err := lead.Rotate(t.Context()); err != nil {
					t.Fatal(err)
				}
				if left > 0 {
					t.Fatal("nothing was cut: the test looks at the wrong message")
				}
				if a.key() != b.key() || keys.Drawn != 1 {
					t.Errorf("the ends agree: %t, keys drawn: %d", a.key() == b.key(), keys.Drawn)
				}
			})
		}
	}
}

// The leader gives up while nothing is known of the follower, which has
// switched: the next contact takes the follower back.
func TestGivenUpWhileUnreachable(t *testing.T) {
	a, b := &box{}, &box{}
	lead, _ := tunneltest.Rig(t, &tunneltest.Keys{}, a, b)
	good, old, left := lead.Dial, a.key(), 3 // hello, prepare, switch
	lead.Dial = func(ctx context.Context) (net.Conn, error) {
		if b.key() != old {
			return nil, qsc.E("test", qsc.Denied, "", "nobody is let through any more") // not tried again
		}
		c, err := good(ctx)
		return cutter{c, &left, true}, err
	}
	if err := lead.Rotate(t.Context()); err == nil {
		t.Fatal("a rotation without an answer succeeded")
	}
	if a.key() != old || b.key() == old {
		t.Fatal("the follower was to have switched and the leader not")
	}
	lead.Dial = good
	b.fail = "stage" // so that only hello can have mended it
	if err := lead.Rotate(t.Context()); err == nil {
		t.Fatal("staging was to fail")
	}
	if a.key() != old || b.key() != old {
		t.Error("the next contact did not take the follower back")
	}
	b.fail = ""
	if err := lead.Rotate(t.Context()); err != nil || a.key() != b.key() {
		t.Errorf("rotation %v, the ends agree: %t", err, a.key() == b.key())
	}
}

// A leader that comes back without memory of an open rotation draws a new key.
func TestRestartedLeader(t *testing.T) {
	a, b, keys := &box{}, &box{}, &tunneltest.Keys{}
	lead, _ := tunneltest.Rig(t, keys, a, b)
	a.fail = "switch" // stands for a crash: what follows is not undone
	b.fail = "revert"
	if err := lead.Rotate(t.Context()); err == nil {
		t.Fatal("it was to fail")
	}
	a.fail, b.fail = "", ""
	next := &tunnel.Leader{Tunnel: lead.Tunnel, Keys: keys, End: a, Dial: lead.Dial}
	if err := next.Rotate(t.Context()); err != nil || a.key() != b.key() {
		t.Errorf("rotation %v, the ends agree: %t", err, a.key() == b.key())
	}
}

func TestRefusals(t *testing.T) {
	a, b, keys := &box{}, &box{}, &tunneltest.Keys{}
	lead, _ := tunneltest.Rig(t, keys, a, b)
	keys.Fail = qsc.E("test", qsc.Exhausted, "", "no key")
	if err := lead.Rotate(t.Context()); !qsc.IsKind(err, qsc.Exhausted) {
		t.Errorf("without key: %v", err)
	}
	keys.Fail, keys.Size = nil, 16
	if err := lead.Rotate(t.Context()); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("with keys of 16 bytes: %v", err)
	}
	keys.Size, lead.Tunnel = 0, "other"
	if err := lead.Rotate(t.Context()); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("with another name: %v", err)
	}
	if len(a.steps)+len(b.steps) != 0 {
		t.Errorf("steps were taken: %v %v", a.steps, b.steps)
	}
}

// Run keeps its rhythm and comes back soon after a failure, in virtual time.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var at []time.Duration
		start := time.Now()
		l := &tunnel.Leader{
			Tunnel: "t", End: &box{}, Keys: &tunneltest.Keys{},
			Dial: func(context.Context) (net.Conn, error) {
				return nil, qsc.E("test", qsc.Denied, "", "not you")
			},
			Report: func(e tunnel.Event) { at = append(at, time.Since(start)) },
		}
		if err := l.Run(ctx, 2*time.Minute); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 1, 3, 7, 15, 31, 63, 127, 247, 367, 487}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(at, want) {
			t.Errorf("tries at %v, want %v", at, want)
		}
	})
}

func TestDamagedState(t *testing.T) {
	s := tunnel.State{Path: filepath.Join(t.TempDir(), "s")}
	if err := os.WriteFile(s.Path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Last(); !qsc.IsKind(err, qsc.Corrupt) || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("%v", err)
	}
}
