package topology

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	qsc "github.com/quantum-secure-cloud/qsc"
)

// Parse reads a description and resolves its defaults. name stands for the
// file in the text of faults. Every fault is reported at once: the error is of
// kind Invalid and wraps Faults, sorted by place. A file that is not TOML has
// one fault, the first that the TOML grammar meets. data is not kept.
func Parse(name string, data []byte) (*Network, error) {
	r := &report{file: name, data: slices.Clip(data)}
	if !readable(r) {
		return nil, r.err()
	}
	doc := readDocument(r)
	if doc == nil {
		return nil, r.err()
	}
	d := decode(r, doc)
	if d != nil {
		d.check()
	}
	if len(r.all) == 0 {
		conform(r)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	d.net.idx = newIndex(d.net)
	return d.net, nil
}

// maxParts bounds the elements of arrays and the parts of dotted keys, and so
// the memory that the parser takes. The largest network stays under half of it.
const maxParts = 2_000_000

// readable reports input that is not text before TOML gets to see it.
func readable(r *report) bool {
	if len(r.data) > MaxFile {
		r.addf(wholeFile, "the file is larger than %s; a network description is not", FormatSize(MaxFile))
		return false
	}
	if n := bytes.Count(r.data, []byte{','}) + bytes.Count(r.data, []byte{'.'}); n > maxParts {
		r.addf(wholeFile, "the file has more than %d commas and points; a network description has not", maxParts)
		return false
	}
	if i := bytes.IndexByte(r.data, 0); i >= 0 {
		r.addf(i, "this is a binary file (it holds a NUL byte), not a network description in TOML")
		return false
	}
	if !utf8.Valid(r.data) {
		r.addf(invalidAt(r.data), "the text is not UTF-8")
		return false
	}
	if len(bytes.TrimSpace(r.data)) == 0 {
		r.addf(wholeFile, "the file is empty; `qsc up --network tohoku` runs a built-in network")
		return false
	}
	return true
}

func invalidAt(data []byte) int {
	at := 0
	for at < len(data) {
		c, n := utf8.DecodeRune(data[at:])
		if c == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

// cause returns the text of a unit error without its operation and kind.
func cause(err error) string {
	var e *qsc.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}

// decoded is a network together with the places its parts came from.
type decoded struct {
	r        *report
	net      *Network
	sites    []record
	nodes    []record
	links    []record
	presets  []record
	policies []record
	shares   []shareFacts
}

// shareFacts is what the checks need to know of a policy.
type shareFacts struct {
	places  []int // of each candidate site
	counted bool  // k, n and w were read
	listed  bool  // sites was read
}

// decode reads every section, or returns nil when there is more of one than a
// description may hold.
func decode(r *report, doc *document) *decoded {
	d := &decoded{r: r, net: &Network{}}
	top := record{doc.top, r, "network"}
	d.net.Name = top.id("name", true)
	d.net.Title = top.title()
	top.closeUnknown("name, title")
	fits := d.open("site", &d.sites, doc, MaxSites)
	fits = d.open("node", &d.nodes, doc, MaxNodes) && fits
	fits = d.open("link", &d.links, doc, MaxLinks) && fits
	fits = d.open("preset", &d.presets, doc, MaxPresets) && fits
	fits = d.open("policy", &d.policies, doc, MaxPolicies) && fits
	if !fits {
		return nil
	}
	if len(d.nodes) == 0 {
		r.addf(top.at, "network: there is no [[node]]")
	}
	d.readAll()
	return d
}

func (d *decoded) open(name string, into *[]record, doc *document, limit int) bool {
	tables := doc.sections[name]
	if len(tables) > limit {
		d.r.addf(tables[limit].at, "more than %d [[%s]] tables", limit, name)
		return false
	}
	for _, t := range tables {
		*into = append(*into, record{t, d.r, name})
	}
	return true
}

func (d *decoded) readAll() {
	for _, c := range d.sites {
		d.net.Sites = append(d.net.Sites, readSite(c))
	}
	for _, c := range d.nodes {
		d.net.Nodes = append(d.net.Nodes, readNode(c))
	}
	for _, c := range d.links {
		d.net.Links = append(d.net.Links, readLink(c))
	}
	for _, c := range d.presets {
		d.net.Presets = append(d.net.Presets, readPreset(c))
	}
	for _, c := range d.policies {
		p, facts := readPolicy(c)
		d.net.Policies = append(d.net.Policies, p)
		d.shares = append(d.shares, facts)
	}
}

func readSite(c record) Site {
	s := Site{ID: qsc.SiteID(c.id("id", true)), Title: c.title(), Group: c.id("group", false), Location: c.location()}
	c.closeUnknown("id, title, group, location")
	return s
}

func readNode(c record) Node {
	n := Node{ID: qsc.NodeID(c.id("id", true)), Site: qsc.SiteID(c.id("site", false))}
	if !c.has("site") {
		n.Site = qsc.SiteID(n.ID)
	}
	n.Listen = c.address("listen", false)
	n.Metrics = c.address("metrics", true)
	n.Data = c.dataPath("data", string(n.ID))
	c.closeUnknown("id, site, listen, data, metrics")
	return n
}

func readLink(c record) Link {
	l := Link{ID: qsc.LinkID(c.id("id", false))}
	kind, kindKnown := c.linkKind()
	l.Kind = kind
	ends, _, ok := c.ids("ends")
	if ok && len(ends) != 2 {
		c.r.addf(c.place("ends"), "link: ends must name two nodes, not %d", len(ends))
	} else if ok {
		l.Ends = [2]qsc.NodeID{qsc.NodeID(ends[0]), qsc.NodeID(ends[1])}
		if !c.has("id") {
			l.ID = qsc.LinkID(strings.Join(ends, "-"))
		}
	}
	var rated bool
	l.Distance, _ = quantity(c, "distance", false, ParseDistance)
	l.Loss, _ = quantity(c, "loss", false, ParseLoss)
	l.Preset = c.id("preset", false)
	l.Rate, rated = quantity(c, "rate", false, ParseRate)
	if kindKnown {
		c.checkRate(l, rated)
	}
	l.Block, l.Pad = c.ring()
	c.closeUnknown("id, kind, ends, distance, loss, preset, rate, pad, block")
	return l
}

func readPolicy(c record) (Policy, shareFacts) {
	p := Policy{ID: c.id("id", true), Scheme: c.word("scheme", SchemeShamir)}
	k, okK := c.integer("k", true, 2, MaxShares)
	n, okN := c.integer("n", true, 2, MaxShares)
	w, okW := n, okN
	if c.has("w") {
		w, okW = c.integer("w", true, 2, MaxShares)
	}
	p.K, p.N, p.W = k, n, w
	p.Home = qsc.NodeID(c.id("home", true))
	sites, places, listed := c.ids("sites")
	for _, s := range sites {
		p.Sites = append(p.Sites, qsc.SiteID(s))
	}
	p.Chunk, _ = c.size("chunk", DefaultChunk, ChunkMin, ChunkMax)
	p.Randomness = c.word("randomness", RandomOS, RandomPool)
	c.closeUnknown("id, scheme, k, n, w, home, sites, chunk, randomness")
	return p, shareFacts{places, okK && okN && okW, listed}
}
