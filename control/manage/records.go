package manage

import (
	"context"
	"database/sql"
	"math"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Bounds of what an operator may store.
const (
	MaxAppID   = 1024 // bytes
	MaxTitle   = 200  // bytes
	MaxSetting = 64 << 10
	maxHops    = 1000 // nodes in one entry of a virtual link
)

// Setting is one word of the operator's, with the version that the next change
// must name.
type Setting struct {
	Name, Value string
	Version     int64
}

// Setting returns one setting. Errors: NotFound.
func (s *Store) Setting(ctx context.Context, name string) (Setting, error) {
	v := Setting{Name: name}
	err := s.db.QueryRowContext(ctx, sqlSetting, []byte(name)).Scan(&v.Value, &v.Version)
	return v, failed("manage.Setting", err)
}

// Settings lists all of them by name.
func (s *Store) Settings(ctx context.Context) ([]Setting, error) {
	return rows(ctx, s, "manage.Settings", sqlSettings, func(r *sql.Rows) (v Setting, err error) {
		var name []byte
		err = r.Scan(&name, &v.Value, &v.Version)
		v.Name = string(name)
		return v, err
	})
}

// Set stores v when v.Version is what is there now, 0 for a new name, and
// returns the new version. Errors: Conflict when somebody was faster; Invalid
// for a name or value out of bounds.
func (s *Store) Set(ctx context.Context, v Setting) (int64, error) {
	const op = "manage.Set"
	if v.Name == "" || len(v.Name) > MaxTitle || len(v.Value) > MaxSetting || !plain(v.Value) {
		return 0, qsc.E(op, qsc.Invalid, "", "a setting has a name of 1 to %d bytes and a text of at most %d", MaxTitle, MaxSetting)
	}
	var version int64
	var err error
	if v.Version == 0 {
		err = s.one(ctx, op, sqlAddSet, &version, []byte(v.Name), v.Value)
	} else {
		err = s.one(ctx, op, sqlSet, &version, []byte(v.Name), v.Value, v.Version)
	}
	if qsc.IsKind(err, qsc.NotFound) {
		return 0, qsc.E(op, qsc.Conflict, "", "setting %q was changed by somebody else: read it again", v.Name)
	}
	return version, err
}

// Application is an application of the network and the node that serves it.
type Application struct {
	App   qsc.AppID
	Node  qsc.NodeID
	Title string
}

// PutApplication stores or changes an application. Errors: Invalid.
func (s *Store) PutApplication(ctx context.Context, a Application) error {
	const op = "manage.PutApplication"
	if a.App == "" || len(a.App) > MaxAppID || !isID(string(a.Node)) || len(a.Title) > MaxTitle || !plain(a.Title) {
		return qsc.E(op, qsc.Invalid, "", "an application has an id of 1 to %d bytes, a node and a title of at most %d bytes", MaxAppID, MaxTitle)
	}
	return s.exec(ctx, op, sqlPutApp, []byte(a.App), string(a.Node), a.Title)
}

// DropApplication removes an application and every pair with it. Errors:
// NotFound.
func (s *Store) DropApplication(ctx context.Context, app qsc.AppID) error {
	var gone []byte
	return s.one(ctx, "manage.DropApplication", sqlDropApp, &gone, []byte(app))
}

// Applications lists all of them by id.
func (s *Store) Applications(ctx context.Context) ([]Application, error) {
	return rows(ctx, s, "manage.Applications", sqlApps, func(r *sql.Rows) (a Application, err error) {
		var app []byte
		err = r.Scan(&app, &a.Node, &a.Title)
		a.App = qsc.AppID(app)
		return a, err
	})
}

// Pair is what a master may ask for to share with a slave.
type Pair struct {
	Master, Slave qsc.AppID
	Policy        keymgmt.Policy
}

// PutPair allows a pair, or changes its policy. Errors: NotFound when one of
// the two applications is unknown; Invalid for an impossible policy.
func (s *Store) PutPair(ctx context.Context, p Pair) error {
	const op = "manage.PutPair"
	if err := checkPolicy(op, p.Policy); err != nil {
		return err
	}
	w := p.Policy
	return s.exec(ctx, op, sqlPutPair, []byte(p.Master), []byte(p.Slave), w.Protection.Paths, w.Protection.Need,
		float64(w.MinRate), float64(w.MaxRate), w.Priority, int64(w.TTL), int64(w.Retry))
}

func checkPolicy(op string, p keymgmt.Policy) error {
	if err := checkProtection(op, p.Protection); err != nil && p.Protection != (keymgmt.Protection{}) {
		return err
	}
	if !isRate(p.MinRate) || !isRate(p.MaxRate) || p.MaxRate > 0 && p.MinRate > p.MaxRate || p.TTL < 0 || p.Retry < 0 {
		return qsc.E(op, qsc.Invalid, "", "rates and times are not negative, and min is at most max")
	}
	return nil
}

// DropPair forbids a pair. Errors: NotFound.
func (s *Store) DropPair(ctx context.Context, master, slave qsc.AppID) error {
	var gone []byte
	return s.one(ctx, "manage.DropPair", sqlDropPair, &gone, []byte(master), []byte(slave))
}

// Pairs lists all of them by master and slave.
func (s *Store) Pairs(ctx context.Context) ([]Pair, error) {
	return rows(ctx, s, "manage.Pairs", sqlPairs, func(r *sql.Rows) (p Pair, err error) {
		var master, slave []byte
		var low, high float64
		var ttl, retry int64
		w := &p.Policy
		err = r.Scan(&master, &slave, &w.Protection.Paths, &w.Protection.Need, &low, &high, &w.Priority, &ttl, &retry)
		p.Master, p.Slave = qsc.AppID(master), qsc.AppID(slave)
		w.MinRate, w.MaxRate = qsc.BitRate(low), qsc.BitRate(high)
		w.TTL, w.Retry = time.Duration(ttl), time.Duration(retry)
		return p, err
	})
}

// PutHop stores or changes one entry of a virtual link. Whether the entries
// spell a path is for the controller to say. Errors: Invalid.
func (s *Store) PutHop(ctx context.Context, h control.Hop) error {
	const op = "manage.PutHop"
	if err := checkHop(op, h); err != nil {
		return err
	}
	var off int64
	if h.Off {
		off = 1
	}
	rest := make([]string, len(h.Next))
	for i, n := range h.Next {
		rest[i] = string(n)
	}
	return s.exec(ctx, op, sqlPutHop, h.Link[:], []byte(h.Node), string(h.From), string(h.To), string(h.Prev),
		strings.Join(rest, " "), float64(h.Bandwidth), off)
}

func checkHop(op string, h control.Hop) error {
	if h.Link == (control.VirtualID{}) || !isRate(h.Bandwidth) || len(h.Next) > maxHops || h.From == h.To {
		return qsc.E(op, qsc.Invalid, string(h.Node), "a virtual link has an id, two different ends, a rate and at most %d hops", maxHops)
	}
	ids := append([]qsc.NodeID{h.Node, h.From, h.To}, h.Next...)
	if h.Prev != "" {
		ids = append(ids, h.Prev)
	}
	for _, id := range ids {
		if !isID(string(id)) {
			return qsc.E(op, qsc.Invalid, "", "%.80q names no node", string(id))
		}
	}
	return nil
}

// DropHop removes one entry of a virtual link. Errors: NotFound.
func (s *Store) DropHop(ctx context.Context, link control.VirtualID, node qsc.NodeID) error {
	var gone []byte
	return s.one(ctx, "manage.DropHop", sqlDropHop, &gone, link[:], []byte(node))
}

// Hops lists the entries of all virtual links by link and node.
func (s *Store) Hops(ctx context.Context) ([]control.Hop, error) {
	const op = "manage.Hops"
	return rows(ctx, s, op, sqlHops, func(r *sql.Rows) (h control.Hop, err error) {
		var link, node []byte
		var rest string
		var bandwidth float64
		var off int64
		err = r.Scan(&link, &node, &h.From, &h.To, &h.Prev, &rest, &bandwidth, &off)
		if err == nil && copy(h.Link[:], link) != len(h.Link) {
			err = qsc.E(op, qsc.Corrupt, "", "a virtual link's id is malformed: delete its row")
		}
		h.Node, h.Bandwidth, h.Off = qsc.NodeID(node), qsc.BitRate(bandwidth), off != 0
		for n := range strings.FieldsSeq(rest) {
			h.Next = append(h.Next, qsc.NodeID(n))
		}
		return h, err
	})
}

// Directory is the applications and pairs of one moment. It implements
// keymgmt.Directory and never changes.
type Directory struct {
	homes map[qsc.AppID]qsc.NodeID
	pairs map[[2]qsc.AppID]keymgmt.Policy
}

var _ keymgmt.Directory = (*Directory)(nil)

// Directory reads the applications and pairs.
func (s *Store) Directory(ctx context.Context) (*Directory, error) {
	apps, err := s.Applications(ctx)
	if err != nil {
		return nil, err
	}
	pairs, err := s.Pairs(ctx)
	if err != nil {
		return nil, err
	}
	d := &Directory{make(map[qsc.AppID]qsc.NodeID, len(apps)), make(map[[2]qsc.AppID]keymgmt.Policy, len(pairs))}
	for _, a := range apps {
		d.homes[a.App] = a.Node
	}
	for _, p := range pairs {
		d.pairs[[2]qsc.AppID{p.Master, p.Slave}] = p.Policy
	}
	return d, nil
}

// Home implements keymgmt.Directory.
func (d *Directory) Home(app qsc.AppID) (qsc.NodeID, bool) {
	n, ok := d.homes[app]
	return n, ok
}

// Allowed implements keymgmt.Directory.
func (d *Directory) Allowed(master, slave qsc.AppID) (keymgmt.Policy, bool) {
	p, ok := d.pairs[[2]qsc.AppID{master, slave}]
	return p, ok
}

// isRate reports whether r is a finite rate that is not negative.
func isRate(r qsc.BitRate) bool { return r >= 0 && !math.IsInf(float64(r), 0) }

// plain reports whether both engines can store the text.
func plain(s string) bool { return !strings.ContainsRune(s, 0) && strings.ToValidUTF8(s, "") == s }

// isID reports whether s has the form of an id of the network description. It
// is then also safe as one word of a subject of the bus.
func isID(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func checkProtection(op string, p keymgmt.Protection) error {
	if p.Paths < 1 || p.Paths > keymgmt.MaxPaths || p.Need < 0 || p.Need > p.Paths {
		return qsc.E(op, qsc.Invalid, "", "protection is 1 to %d paths of which 1 to all are needed", keymgmt.MaxPaths)
	}
	return nil
}
