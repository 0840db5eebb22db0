package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// caCmd is qsc ca.
func (a *app) caCmd() *cobra.Command {
	var dir string
	c := group("ca", "a small private CA for the doors of nodes and applications",
		a.caInit(&dir), a.caIssue(&dir, "node", "certify a node: server and client"), a.caIssue(&dir, "sae", "certify an application"), a.caShow(&dir))
	c.Long = "The CA lets nodes and applications (SAEs) know each other over TLS. It protects no key on\n" +
		"its way between nodes. qsc up makes one for its network; make one by hand for nodes on\n" +
		"several machines, and keep its directory off line."
	c.PersistentFlags().StringVar(&dir, "dir", "", "the CA's directory (default: DATA/ca)")
	return c
}

// caDir is the directory named, or that of the network in use.
func (a *app) caDir(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	if d := first(a.data, os.Getenv("QSC_DATA")); d != "" {
		return filepath.Join(d, fleet.CADir), nil
	}
	p, err := a.find()
	if err != nil {
		return "", errors.Join(err, errors.New("or name the CA's directory with --dir"))
	}
	return filepath.Join(p.dir, fleet.CADir), nil
}

func (a *app) caInit(dir *string) *cobra.Command {
	var force bool
	var name string
	c := &cobra.Command{
		Use: "init", Short: "make the CA", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			d, err := a.caDir(*dir)
			if err != nil {
				return err
			}
			ca, err := enrol.InitCA(d, name, force)
			if err != nil {
				return err
			}
			a.tell("CA %s is made; its certificate is %s", ca.Cert.Subject.CommonName, ca.CertFile())
			return nil
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace a CA that is there; everything it has certified is worthless then")
	c.Flags().StringVar(&name, "name", "qsc", "of the CA")
	return c
}

func (a *app) caIssue(dir *string, role, short string) *cobra.Command {
	var o enrol.Options
	c := &cobra.Command{
		Use: role + " ID", Short: short, Args: args(1, 1),
		RunE: func(_ *cobra.Command, given []string) error {
			d, err := a.caDir(*dir)
			if err != nil {
				return err
			}
			ca, err := enrol.OpenCA(d)
			if err != nil {
				return err
			}
			issue := func() (enrol.Issued, error) { return ca.SAE(qsc.AppID(given[0]), o) }
			if role == enrol.RoleNode {
				issue = func() (enrol.Issued, error) { return ca.Node(qsc.NodeID(given[0]), o) }
			}
			cert, err := issue()
			if err != nil {
				return err
			}
			if a.json {
				return a.answer(cert)
			}
			a.tell("certificate  %s\nkey          %s\nCA           %s\nfingerprint  %s\nholds until  %s",
				cert.CertFile, cert.KeyFile, ca.CertFile(), cert.Fingerprint, cert.NotAfter.Format(time.DateOnly))
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.Out, "out", "", "where certificate and key go (default: the CA's directory)")
	f.DurationVar(&o.Life, "life", 0, "how long it holds (default 397 days)")
	f.BoolVar(&o.Renew, "renew", false, "replace what is there, with a new key")
	if role == enrol.RoleNode {
		f.StringSliceVar(&o.Hosts, "host", nil, "DNS names and IP addresses under which it is reached, besides loopback")
	}
	return c
}

func (a *app) caShow(dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "list what the CA has certified", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			d, err := a.caDir(*dir)
			if err != nil {
				return err
			}
			ca, err := enrol.OpenCA(d)
			if err != nil {
				return err
			}
			all, err := ca.List()
			if err != nil {
				return err
			}
			if a.json {
				return a.answer(append([]enrol.Issued{}, all...))
			}
			t := show.NewTable("ROLE", "ID", "HOLDS UNTIL", "HOSTS", "FINGERPRINT")
			for _, c := range all {
				t.Row(c.Role, c.ID, c.NotAfter.Format(time.DateOnly), strings.Join(c.Hosts, " "), c.Fingerprint[:16]+"…")
			}
			return t.Write(a.out, "")
		},
	}
}
