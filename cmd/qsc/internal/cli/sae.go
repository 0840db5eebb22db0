package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// saeCmd is qsc sae.
func (a *app) saeCmd() *cobra.Command {
	return group("sae", "applications that draw key, and who may share it with whom",
		a.saeAdd(), a.saeAllow(), a.saeRm(), a.saeLs(), a.saeSnippet())
}

const maxPaths = 8 // of one key, as keymgmt has it

// pairFlags are what a pair of applications may have.
type pairFlags struct {
	paths, need, priority int
	min, max              string
	ttl, retry            time.Duration
	oneWay                bool
}

func (p *pairFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&p.paths, "paths", 1, "paths over which each key is made, at most 8; disjoint where the network allows it")
	f.IntVar(&p.need, "need", 0, "paths one must hold to know a key (default: all); fewer let the others be lost unnoticed")
	f.StringVar(&p.min, "min", "", "guaranteed rate of key, such as \"1 kbit/s\"")
	f.StringVar(&p.max, "max", "", "largest rate of key")
	f.IntVar(&p.priority, "priority", 0, "larger goes first")
	f.DurationVar(&p.ttl, "ttl", 0, "after it a key that was not fetched is erased (default 24h)")
	f.DurationVar(&p.retry, "retry", 0, "how long the same client may ask again for an answer that was lost (default: never)")
	f.BoolVar(&p.oneWay, "one-way", false, "only the first may draw new key")
}

func (p *pairFlags) pair(master, slave string) (enrol.Pair, error) {
	q := enrol.Pair{Master: qsc.AppID(master), Slave: qsc.AppID(slave), BothWays: !p.oneWay}
	q.Policy.Protection.Paths, q.Policy.Protection.Need = p.paths, p.need
	q.Policy.Priority, q.Policy.TTL, q.Policy.Retry = p.priority, p.ttl, p.retry
	for _, r := range []struct {
		flag, text string
		to         *qsc.BitRate
	}{{"--min", p.min, &q.Policy.MinRate}, {"--max", p.max, &q.Policy.MaxRate}} {
		if r.text == "" {
			continue
		}
		var err error
		if *r.to, err = node.ParseRate(r.text); err != nil {
			return q, usage{fmt.Errorf("%s: %w", r.flag, err)}
		}
	}
	if p.paths < 1 || p.paths > maxPaths || p.need < 0 || p.need > p.paths {
		return q, usage{fmt.Errorf("--paths %d --need %d: there must be 1 to %d paths, and not more needed than there are", p.paths, p.need, maxPaths)}
	}
	return q, nil
}

func (a *app) saeAdd() *cobra.Command {
	var at, out string
	var with []string
	var pf pairFlags
	c := &cobra.Command{
		Use: "add SAE --node NODE", Short: "admit an application: directory entry, certificate, and what to type next",
		Example: "  qsc sae add alice --node koganei\n  qsc sae add bob --node hongo --with alice --paths 2",
		Args:    args(1, 1),
		RunE: func(c *cobra.Command, given []string) error {
			return a.addSAE(given[0], at, out, with, pf)
		},
	}
	c.Flags().StringVar(&at, "node", "", "the node that serves it")
	c.Flags().StringSliceVar(&with, "with", nil, "applications with which it may share key")
	c.Flags().StringVar(&out, "out", "", "where its certificate and key go (default: DATA/sae)")
	_ = c.MarkFlagRequired("node")
	_ = c.RegisterFlagCompletionFunc("node", a.fromNetwork(nodeIDs))
	pf.add(c)
	return c
}

func (a *app) addSAE(id, at, out string, with []string, pf pairFlags) error {
	p, err := a.find()
	if err != nil {
		return err
	}
	if _, ok := p.net.Node(qsc.NodeID(at)); !ok {
		return qsc.E("", qsc.NotFound, "", "the network %s has no node %s", p.net.Name, quoteArg(at))
	}
	var pairs []enrol.Pair
	for _, w := range with {
		q, err := pf.pair(w, id)
		if err != nil {
			return err
		}
		pairs = append(pairs, q)
	}
	if err := enrol.CheckAppID(qsc.AppID(id)); err != nil {
		return err
	}
	ca, err := p.ca()
	if err != nil {
		return err
	}
	if out == "" {
		out = filepath.Join(p.dir, "sae")
	}
	if _, err := enrol.Edit(p.saes(), enrol.AddSAE(enrol.SAE{ID: qsc.AppID(id), Node: qsc.NodeID(at)}, pairs...)); err != nil {
		return err
	}
	cert, err := ca.SAE(qsc.AppID(id), enrol.Options{Out: out})
	if qsc.IsKind(err, qsc.Exists) {
		cert, err = enrol.Show(filepath.Join(out, id+".pem"))
	}
	if err != nil {
		return err
	}
	return a.admitted(p, ca, cert, qsc.NodeID(at), with)
}

// admission is what a program is told of a new application.
type admission struct {
	enrol.Issued
	Node    qsc.NodeID `json:"node"`
	CA      string     `json:"ca_file"`
	ETSI014 string     `json:"etsi014,omitempty"`
	ETSI004 string     `json:"etsi004,omitempty"`
	SKIP    string     `json:"skip,omitempty"`
}

func (a *app) admitted(p *place, ca *enrol.CA, cert enrol.Issued, at qsc.NodeID, with []string) error {
	k, err := p.kme(at)
	if err != nil {
		return err
	}
	adm := admission{Issued: cert, Node: at, CA: ca.CertFile(), ETSI004: k.ETSI004, SKIP: k.SKIP}
	if k.ETSI014 != "" {
		adm.ETSI014 = "https://" + k.ETSI014
	}
	if a.json {
		return a.answer(adm)
	}
	a.tell("application %s is admitted at node %s\n  certificate  %s\n  key          %s\n  CA           %s\n  ETSI 014     %s\n  ETSI 004     %s\n  SKIP         %s",
		cert.ID, at, cert.CertFile, cert.KeyFile, adm.CA, adm.ETSI014, adm.ETSI004, adm.SKIP)
	if len(with) == 0 {
		a.tell("it may share key with nobody yet: qsc sae add PEER --node NODE --with %s, or qsc sae allow", cert.ID)
		return nil
	}
	a.tell("draw a key:  curl --cert %s --key %s --cacert %s %s/api/v1/keys/%s/enc_keys", cert.CertFile, cert.KeyFile, adm.CA, adm.ETSI014, with[0])
	return nil
}

func (a *app) saeAllow() *cobra.Command {
	var pf pairFlags
	c := &cobra.Command{
		Use: "allow MASTER SLAVE", Short: "let two applications share key", Args: args(2, 2),
		RunE: func(c *cobra.Command, given []string) error {
			p, err := a.find()
			if err != nil {
				return err
			}
			q, err := pf.pair(given[0], given[1])
			if err != nil {
				return err
			}
			if _, err := enrol.Edit(p.saes(), enrol.AddPair(q)); err != nil {
				return err
			}
			a.tell("%s may share key with %s; nodes know within a second", given[0], given[1])
			return nil
		},
	}
	pf.add(c)
	return c
}

func (a *app) saeRm() *cobra.Command {
	return &cobra.Command{
		Use: "rm SAE", Short: "shut an application out", Args: args(1, 1),
		RunE: func(c *cobra.Command, given []string) error {
			p, err := a.find()
			if err != nil {
				return err
			}
			if _, err := enrol.Edit(p.saes(), enrol.RemoveSAE(qsc.AppID(given[0]))); err != nil {
				return err
			}
			a.tell("%s is shut out; nodes know within a second. Its certificate opens nothing any more", given[0])
			return nil
		},
	}
}

func (a *app) saeLs() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "list the applications and the pairs", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.find()
			if err != nil {
				return err
			}
			d, err := enrol.OpenDirectory(p.saes())
			if err != nil {
				return err
			}
			return a.listSAEs(d.Snapshot())
		},
	}
}

func (a *app) listSAEs(s *enrol.Snapshot) error {
	if a.json {
		return a.answer(struct {
			SAEs  []enrol.SAE  `json:"saes"`
			Pairs []enrol.Pair `json:"pairs"`
		}{append([]enrol.SAE{}, s.SAEs()...), append([]enrol.Pair{}, s.Pairs()...)})
	}
	t := show.NewTable("SAE", "NODE", "PINNED", "SHARES KEY WITH")
	for _, e := range s.SAEs() {
		var with []string
		for _, q := range s.Pairs() {
			switch {
			case q.Master == e.ID:
				with = append(with, string(q.Slave))
			case q.Slave == e.ID && q.BothWays:
				with = append(with, string(q.Master))
			}
		}
		pinned := "no"
		if e.Fingerprint != "" {
			pinned = e.Fingerprint[:16] + "…"
		}
		t.Row(string(e.ID), string(e.Node), pinned, strings.Join(slices.Compact(with), ", "))
	}
	return t.Write(a.out, "")
}

func (a *app) saeSnippet() *cobra.Command {
	var remote string
	c := &cobra.Command{
		Use: "snippet CLIENT SAE PEER", Short: "print ready-made configuration for " + strings.Join(enrol.Snippets(), ", "),
		Args: args(3, 3),
		ValidArgsFunction: func(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(given) == 0 {
				return enrol.Snippets(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, given []string) error { return a.snippet(given[0], given[1], given[2], remote) },
	}
	c.Flags().StringVar(&remote, "remote", "", "address of the other encryptor")
	return c
}

func (a *app) snippet(kind, id, peer, remote string) error {
	p, err := a.find()
	if err != nil {
		return err
	}
	d, err := enrol.OpenDirectory(p.saes())
	if err != nil {
		return err
	}
	at, ok := d.Home(qsc.AppID(id))
	if !ok {
		return qsc.E("", qsc.NotFound, "", "no application %s: qsc sae ls lists them", quoteArg(id))
	}
	k, err := p.kme(at)
	if err != nil {
		return err
	}
	ca, err := p.ca()
	if err != nil {
		return err
	}
	issued, err := ca.List()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(issued, func(c enrol.Issued) bool { return c.ID == id && c.Role == enrol.RoleSAE })
	if i < 0 {
		return qsc.E("", qsc.NotFound, "", "the CA has made no certificate for %s: qsc ca sae %s", quoteArg(id), id)
	}
	text, err := enrol.Snippet(kind, enrol.Client{
		SAE: qsc.AppID(id), Peer: qsc.AppID(peer), KME: k.ETSI014, SKIP: k.SKIP, Remote: remote, Follows: follows(d.Snapshot(), id, peer),
		CAFile: ca.CertFile(), CertFile: filepath.Join(p.dir, "sae", id+".pem"), KeyFile: filepath.Join(p.dir, "sae", id+".key"),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.out, text)
	return err
}

// follows reports whether of two applications the first is entered as the other's
// slave, and not as its master: one of them has to lead.
func follows(s *enrol.Snapshot, id, peer string) bool {
	entered := func(master, slave string) bool {
		return slices.ContainsFunc(s.Pairs(), func(q enrol.Pair) bool {
			return q.Master == qsc.AppID(master) && q.Slave == qsc.AppID(slave)
		})
	}
	return entered(peer, id) && !entered(id, peer)
}

func (p *place) saes() string { return filepath.Join(p.dir, fleet.SAEFile) }

func (p *place) ca() (*enrol.CA, error) {
	ca, err := enrol.OpenCA(filepath.Join(p.dir, fleet.CADir))
	if qsc.IsKind(err, qsc.NotFound) {
		return nil, errors.Join(qsc.E("", qsc.NotFound, "", "this network has no CA yet: run qsc up once, or qsc ca init"), err)
	}
	return ca, err
}

// kme reads where a node's doors are.
func (p *place) kme(id qsc.NodeID) (node.KME, error) {
	dir, err := p.nodeDir(id)
	if err != nil {
		return node.KME{}, err
	}
	c, err := node.ReadConfig(fleet.ConfigFile(dir))
	return c.KME, err
}
