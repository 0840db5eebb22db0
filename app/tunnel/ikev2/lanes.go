package ikev2

import (
	"context"
	"strconv"

	"github.com/quantum-secure-cloud/qsc/app/tunnel/vici"
)

// lanes are two request IDs that the children of a connection use in turn. Each
// has a policy of its own that stays (a trap); a child brings none. The newest
// of the policies for the same traffic decides by which child it leaves, while
// what comes in is taken under either. So laying a second policy of lane 0 on
// top turns traffic to lane 0, and taking it away turns it to lane 1, without a
// moment in which no child fits.
//
// This is how charon's own IPsec (libipsec) chooses. The kernel's IPsec knows
// one policy for the same traffic only.
type lanes struct {
	d     daemon
	conn  *Conn
	reqid uint32
	front int // the lane that outgoing traffic uses
}

// The traps, in the order in which they are laid.
const (
	trapLow  = "lane0" //
	trapHigh = "lane1" // above it
	trapTop  = "top0"  // of lane 0, above both, or absent
)

// name is that of the connection that holds the traps. Nobody can match it: its
// remote identity is no one's.
func (l *lanes) name() string { return prefix + l.conn.Name + "-lanes" }

// child is what the connection's child needs to be on a lane.
func (l *lanes) child(lane int) map[string]string {
	return map[string]string{"reqid": l.id(lane), "policies": "no", "start_action": "none", "dpd_action": "clear"}
}

func (l *lanes) id(lane int) string { return strconv.FormatUint(uint64(l.reqid)+uint64(lane), 10) }

// open finds the lanes that an earlier run left, or lays them.
func (l *lanes) open(ctx context.Context) error {
	if err := l.d.call(ctx, "load-conn", l.message()); err != nil {
		return err
	}
	laid, err := l.laid(ctx)
	if err != nil {
		return err
	}
	if !laid[trapLow] || !laid[trapHigh] {
		if err := l.relay(ctx, laid); err != nil {
			return err
		}
		laid[trapTop] = false
	}
	l.front = 1
	if laid[trapTop] {
		l.front = 0
	}
	return nil
}

// relay lays the two lanes anew, in their order.
func (l *lanes) relay(ctx context.Context, laid map[string]bool) error {
	for _, trap := range []string{trapTop, trapHigh, trapLow} {
		if !laid[trap] {
			continue
		}
		if err := l.lift(ctx, trap); err != nil {
			return err
		}
	}
	if err := l.lay(ctx, trapLow); err != nil {
		return err
	}
	return l.lay(ctx, trapHigh)
}

func (l *lanes) message() *vici.Section {
	body := (&vici.Section{}).Set("version", "2")
	for _, key := range []string{"local_addrs", "remote_addrs"} {
		if v := l.conn.body.Get(key); v != "" {
			body.Set(key, v)
		}
	}
	body.Put("local", (&vici.Section{}).Set("auth", "psk")).
		Put("remote", (&vici.Section{}).Set("auth", "psk").Set("id", "nobody@qsc.invalid"))
	children := &vici.Section{}
	for trap, lane := range map[string]int{trapLow: 0, trapHigh: 1, trapTop: 0} {
		child := (&vici.Section{}).Set("reqid", l.id(lane))
		for _, key := range []string{"local_ts", "remote_ts", "mode", "esp_proposals"} {
			if v := l.conn.child().Get(key); v != "" {
				child.Set(key, v)
			}
		}
		children.Put(trap, child)
	}
	return (&vici.Section{}).Put(l.name(), cutLists(body.Put("children", children)))
}

// laid tells which traps charon has.
func (l *lanes) laid(ctx context.Context) (map[string]bool, error) {
	laid := map[string]bool{}
	err := l.d.do(ctx, func(c *vici.Client) error {
		msg := (&vici.Section{}).Set("trap", "yes").Set("ike", l.name())
		_, err := c.Stream(ctx, "list-policies", "list-policy", msg, func(e *vici.Section) {
			for _, it := range e.Items {
				if it.Kind == vici.Nested && it.Sub.Get("ike") == l.name() {
					laid[it.Sub.Get("child")] = true
				}
			}
		})
		return err
	})
	return laid, err
}

func (l *lanes) lay(ctx context.Context, trap string) error {
	return l.d.call(ctx, "install", (&vici.Section{}).Set("ike", l.name()).Set("child", trap))
}

func (l *lanes) lift(ctx context.Context, trap string) error {
	return l.d.call(ctx, "uninstall", (&vici.Section{}).Set("ike", l.name()).Set("child", trap))
}

// turn moves outgoing traffic to a lane.
func (l *lanes) turn(ctx context.Context, to int) error {
	if to == l.front {
		return nil
	}
	move := l.lay
	if to == 1 {
		move = l.lift
	}
	if err := move(ctx, trapTop); err != nil {
		return err
	}
	l.front = to
	return nil
}
