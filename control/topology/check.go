package topology

import (
	"strings"

	qsc "github.com/quantum-secure-cloud/qsc"
)

// check holds the parts against each other. Something that is missing or
// malformed has been reported already and is left alone here.
func (d *decoded) check() {
	d.checkIDs()
	x := newIndex(d.net)
	d.checkNodes(x)
	d.checkLinks(x)
	d.checkPresets()
	for i := range d.net.Policies {
		d.checkPolicy(x, i)
	}
}

// unique reports ids that are given twice.
func unique[K ~string](recs []record, key string, id func(int) K) {
	first := make(map[K]int, len(recs))
	for i, c := range recs {
		k := id(i)
		if k == "" {
			continue
		}
		if j, twice := first[k]; twice {
			c.r.addf(c.place(key), "%s: %s %s is taken by the %s on line %d", c.what, key, quote(string(k)), c.what, c.r.line(recs[j].at))
			continue
		}
		first[k] = i
	}
}

func (d *decoded) checkIDs() {
	n := d.net
	unique(d.sites, "id", func(i int) qsc.SiteID { return n.Sites[i].ID })
	unique(d.nodes, "id", func(i int) qsc.NodeID { return n.Nodes[i].ID })
	unique(d.presets, "id", func(i int) string { return n.Presets[i].ID })
	unique(d.policies, "id", func(i int) string { return n.Policies[i].ID })
	unique(d.links, "id", func(i int) qsc.LinkID {
		if !d.links[i].has("id") {
			return "" // named after its ends, which checkLinks holds apart
		}
		return n.Links[i].ID
	})
}

func (d *decoded) checkNodes(x *index) {
	for i, node := range d.net.Nodes {
		c := d.nodes[i]
		if _, ok := x.sites[node.Site]; !ok && isID(string(node.Site)) {
			hint := ""
			if !c.has("site") {
				hint = "; without a key \"site\" a node stands in the site of its own name"
			}
			c.r.addf(c.place("site"), "node: unknown site %s%s", quote(string(node.Site)), hint)
		}
	}
	d.checkAddresses()
	d.checkData()
}

// checkAddresses reports addresses that two servers would fight over. Port 0
// is a new port each time.
func (d *decoded) checkAddresses() {
	owner := map[string]int{}
	claim := func(i int, key, addr string) {
		if addr == "" || strings.HasSuffix(addr, ":0") {
			return
		}
		if j, taken := owner[addr]; taken {
			c := d.nodes[i]
			c.r.addf(c.place(key), "node: %s %s is taken by the node on line %d", key, quote(addr), c.r.line(d.nodes[j].at))
			return
		}
		owner[addr] = i
	}
	for i, node := range d.net.Nodes {
		claim(i, "listen", node.Listen)
		claim(i, "metrics", node.Metrics)
	}
}

// checkData keeps the nodes' directories apart, also where the file system
// does not tell upper from lower case.
func (d *decoded) checkData() {
	owner := map[string]int{}
	for i, node := range d.net.Nodes {
		if node.Data == "" {
			continue
		}
		p := strings.ToLower(node.Data)
		if j, taken := owner[p]; taken {
			// Nodes with one id share their default; that is reported as such.
			if node.ID != d.net.Nodes[j].ID {
				d.dataClash(i, j)
			}
			continue
		}
		owner[p] = i
	}
	for i, node := range d.net.Nodes {
		p := strings.ToLower(node.Data)
		for end := strings.LastIndexByte(p, '/'); end > 0; end = strings.LastIndexByte(p[:end], '/') {
			if j, taken := owner[p[:end]]; taken {
				d.dataClash(i, j)
			}
		}
	}
}

func (d *decoded) dataClash(i, j int) {
	c := d.nodes[i]
	c.r.addf(c.place("data"), "node: data %s lies in the directory of node %s on line %d", quote(d.net.Nodes[i].Data), quote(string(d.net.Nodes[j].ID)), c.r.line(d.nodes[j].at))
}

func (d *decoded) checkLinks(x *index) {
	byPair := map[[2]qsc.NodeID]int{}
	ids := map[qsc.LinkID]int{}
	for i, l := range d.net.Links {
		c := d.links[i]
		if l.Ends[0] == "" || l.Ends[1] == "" {
			continue
		}
		for _, end := range l.Ends {
			if _, ok := x.nodes[end]; !ok && isID(string(end)) {
				c.r.addf(c.place("ends"), "link: unknown node %s", quote(string(end)))
			}
		}
		if l.Ends[0] == l.Ends[1] {
			c.r.addf(c.place("ends"), "link: both ends are %s", quote(string(l.Ends[0])))
			continue
		}
		if j, twice := byPair[pair(l.Ends[0], l.Ends[1])]; twice {
			c.r.addf(c.place("ends"), "link: %s and %s are already joined on line %d", l.Ends[0], l.Ends[1], c.r.line(d.links[j].at))
			continue
		}
		byPair[pair(l.Ends[0], l.Ends[1])] = i
		d.checkLinkName(ids, i)
	}
}

// checkLinkName looks at the id that a link without one takes from its ends:
// it may be too long, or be that of another link.
func (d *decoded) checkLinkName(ids map[qsc.LinkID]int, i int) {
	c, id := d.links[i], d.net.Links[i].ID
	if j, twice := ids[id]; twice && !(c.has("id") && d.links[j].has("id")) {
		c.r.addf(c.at, "link: id %s is taken by the link on line %d; give this one an id", quote(string(id)), c.r.line(d.links[j].at))
		return
	}
	ids[id] = i
	if !c.has("id") && len(id) > 63 {
		c.r.addf(c.at, "link: the id %s made of the ends is longer than 63; give the link an id", quote(string(id)))
	}
}

func (d *decoded) checkPolicy(x *index, i int) {
	p, c, facts := d.net.Policies[i], d.policies[i], d.shares[i]
	if facts.counted {
		checkCounts(c, p)
	}
	if facts.listed && p.N > 0 && len(p.Sites) < p.N {
		c.r.addf(c.place("sites"), "policy: n = %d shares need %d sites, but sites lists %d", p.N, p.N, len(p.Sites))
	}
	_, homeKnown := x.nodes[p.Home]
	if !homeKnown && isID(string(p.Home)) {
		c.r.addf(c.place("home"), "policy: unknown node %s as home", quote(string(p.Home)))
	}
	seen := map[qsc.SiteID]bool{}
	for j, site := range p.Sites {
		at := facts.places[j]
		if seen[site] {
			c.r.addf(at, "policy: site %s is listed twice; a site holds one share at most", quote(string(site)))
			continue
		}
		seen[site] = true
		d.checkPolicySite(x, p, site, at, homeKnown)
	}
}

func checkCounts(c record, p Policy) {
	switch {
	case p.K > p.N:
		c.r.addf(c.place("k"), "policy: k = %d is more than n = %d; %d shares could never be gathered", p.K, p.N, p.K)
	case p.W < p.K:
		c.r.addf(c.place("w"), "policy: w = %d is less than k = %d; what a put acknowledges could not be read back", p.W, p.K)
	case p.W > p.N:
		c.r.addf(c.place("w"), "policy: w = %d is more than n = %d; no put could ever be acknowledged", p.W, p.N)
	}
}

// checkPolicySite reports a candidate site that the home cannot hand a share.
func (d *decoded) checkPolicySite(x *index, p Policy, site qsc.SiteID, at int, homeKnown bool) {
	if !isID(string(site)) {
		return
	}
	if _, ok := x.sites[site]; !ok {
		d.r.addf(at, "policy: unknown site %s", quote(string(site)))
		return
	}
	i, ok := x.at[site]
	if !ok {
		d.r.addf(at, "policy: site %s has no node", quote(string(site)))
		return
	}
	store := d.net.Nodes[i].ID
	if !homeKnown || store == p.Home {
		return
	}
	if _, linked := x.pairs[pair(p.Home, store)]; !linked {
		d.r.addf(at, "policy: home %s has no link to %s, the node of site %s", p.Home, store, quote(string(site)))
	}
}
