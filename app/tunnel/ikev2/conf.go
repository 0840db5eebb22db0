package ikev2

import (
	"slices"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/vici"
)

// lists are the keys whose values swanctl cuts at commas.
var lists = []string{
	"local_addrs", "remote_addrs", "proposals", "esp_proposals", "ah_proposals", "local_ts", "remote_ts",
	"vips", "pools", "groups", "cert_policy",
}

// Conn is a connection as swanctl.conf describes it.
type Conn struct {
	Name  string
	Child string // the child whose traffic the tunnel carries
	body  *vici.Section
}

// ParseConn reads one connection from the text of a swanctl.conf. child may be
// "" when the connection has only one. Two settings are added where they are
// not there: ppk_required = yes, so that no session comes up without a key of
// the network, and unique = never, so that a new session does not push out the
// old one before it is in use.
//
// Errors: Invalid with the line, also for what only swanctl can follow (include,
// references to other sections, certificates by file name); NotFound for an
// unknown name; Unsupported for IKEv1.
func ParseConn(text []byte, name, child string) (*Conn, error) {
	root, err := parseConf(text)
	if err != nil {
		return nil, err
	}
	all := root.Section("connections")
	if all == nil || all.Section(name) == nil {
		return nil, qsc.E("ikev2.ParseConn", qsc.NotFound, "", "the file has no connections { %s { ... } }", name)
	}
	c := &Conn{Name: name, Child: child, body: all.Section(name)}
	if err := c.pickChild(); err != nil {
		return nil, err
	}
	if v := c.body.Get("version"); v != "" && v != "2" {
		return nil, qsc.E("ikev2.ParseConn", qsc.Unsupported, "", "connection %s has version = %s: RFC 8784 is of IKEv2; set version = 2", name, v)
	}
	c.body = with(c.body, "version", "2")
	for _, def := range [][2]string{{"ppk_required", "yes"}, {"unique", "never"}} {
		if c.body.Get(def[0]) == "" {
			c.body = with(c.body, def[0], def[1])
		}
	}
	return c, nil
}

func (c *Conn) pickChild() error {
	children := c.body.Section("children")
	var names []string
	if children != nil {
		for _, it := range children.Items {
			if it.Kind == vici.Nested {
				names = append(names, it.Name)
			}
		}
	}
	if c.Child == "" && len(names) == 1 {
		c.Child = names[0]
	}
	if !slices.Contains(names, c.Child) {
		return qsc.E("ikev2.ParseConn", qsc.NotFound, "", "connection %s has the children %q: name the one that carries the tunnel", c.Name, names)
	}
	return nil
}

// child returns the section of the tunnel's child.
func (c *Conn) child() *vici.Section { return c.body.Section("children").Section(c.Child) }

// message is the connection as load-conn takes it, with settings of the
// connection and of the child replaced.
func (c *Conn) message(conn, child map[string]string) *vici.Section {
	body := withAll(c.body, conn)
	if len(child) > 0 {
		children := withSection(body.Section("children"), c.Child, withAll(c.child(), child))
		body = withSection(body, "children", children)
	}
	return (&vici.Section{}).Put(c.Name, cutLists(body))
}

// with returns a copy of s in which name has that value.
func with(s *vici.Section, name, value string) *vici.Section {
	out := &vici.Section{Items: slices.DeleteFunc(slices.Clone(s.Items), func(it vici.Item) bool {
		return it.Kind == vici.Value && it.Name == name
	})}
	return out.Set(name, value)
}

func withAll(s *vici.Section, values map[string]string) *vici.Section {
	for name, value := range values {
		s = with(s, name, value)
	}
	return s
}

func withSection(s *vici.Section, name string, sub *vici.Section) *vici.Section {
	out := &vici.Section{Items: slices.Clone(s.Items)}
	for i, it := range out.Items {
		if it.Kind == vici.Nested && it.Name == name {
			out.Items[i].Sub = sub
		}
	}
	return out
}

// cutLists returns a copy in which the values of list keys are lists.
func cutLists(s *vici.Section) *vici.Section {
	out := &vici.Section{}
	for _, it := range s.Items {
		switch {
		case it.Kind == vici.Nested:
			out.Put(it.Name, cutLists(it.Sub))
		case slices.Contains(lists, it.Name):
			var values []string
			for v := range strings.SplitSeq(string(it.Text), ",") {
				if v = strings.TrimSpace(v); v != "" {
					values = append(values, v)
				}
			}
			out.SetList(it.Name, values...)
		default:
			out.Items = append(out.Items, it)
		}
	}
	return out
}
