package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

// page is how many objects are asked for at once.
const page = 1000

// listed is an object and the node that knows it.
type listed struct {
	Home qsc.NodeID `json:"home"`
	admin.Object
}

func (a *app) lsCmd() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use: "ls [PREFIX]", Short: "list objects", Args: args(0, 1), ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, given []string) error {
			return a.ls(c.Context(), strings.Join(given, ""), at)
		},
	}
	c.Flags().StringVar(&at, "at", "", "the node whose objects are listed (default: all homes)")
	a.completeNodes(c, "at")
	return c
}

func (a *app) ls(ctx context.Context, prefix, at string) error {
	p, err := a.find()
	if err != nil {
		return err
	}
	homes := p.homes()
	if at != "" {
		homes = []qsc.NodeID{qsc.NodeID(at)}
	}
	all := []listed{}
	var down []error
	for _, h := range homes {
		client, err := p.reach(string(h), "")
		if err != nil {
			return err
		}
		objs, err := everything(ctx, client, prefix)
		if err != nil {
			down = append(down, qsc.E("", qsc.KindOf(err), string(h), "%w", err))
			continue
		}
		for _, o := range objs {
			all = append(all, listed{h, o})
		}
	}
	if len(down) == len(homes) && len(down) > 0 {
		return down[0]
	}
	for _, err := range down {
		if !a.quiet && !a.json {
			fmt.Fprintln(a.err, "qsc: warning: not listed: "+plain(err))
		}
	}
	return a.listing(all)
}

// everything lists all objects behind a prefix, page by page.
func everything(ctx context.Context, client *admin.Client, prefix string) ([]admin.Object, error) {
	var all []admin.Object
	after := ""
	for {
		l, err := client.List(ctx, prefix, after, page)
		if err != nil {
			return nil, err
		}
		all = append(all, l.Objects...)
		if !l.More || len(l.Objects) == 0 {
			return all, nil
		}
		after = l.Objects[len(l.Objects)-1].Name
	}
}

func (a *app) listing(all []listed) error {
	if a.json {
		return a.answer(all)
	}
	if len(all) == 0 {
		if !a.quiet {
			fmt.Fprintln(a.err, "no objects")
		}
		return nil
	}
	t := show.NewTable("NAME", "SIZE", "SHARES", "STATE", "CREATED", "HOME", "CLASS")
	for _, o := range all {
		t.Row(show.Name(o.Name), show.Bytes(o.Size), fmt.Sprintf("%d of %d", o.K, o.N), o.State, o.Created.Local().Format(time.DateTime), string(o.Home), o.Class.String())
	}
	return t.Write(a.out, "")
}

func (a *app) statCmd() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use: "stat NAME", Short: "show an object and where its shares lie", Args: args(1, 1), ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, given []string) error { return a.stat(c.Context(), given[0], at) },
	}
	c.Flags().StringVar(&at, "at", "", "the node that holds the object (default: the first home that knows it)")
	a.completeNodes(c, "at")
	return c
}

func (a *app) stat(ctx context.Context, name, at string) error {
	p, err := a.find()
	if err != nil {
		return err
	}
	_, o, err := p.holder(ctx, at, name)
	if err != nil {
		return err
	}
	if a.json {
		return a.answer(o)
	}
	t := show.NewTable("name", show.Name(o.Name))
	t.Row("size", fmt.Sprintf("%s (%d bytes)", show.Bytes(o.Size), o.Size))
	t.Row("id", fmt.Sprintf("%s, version %d", o.ID, o.Version))
	t.Row("created", o.Created.Local().Format(time.DateTime))
	t.Row("policy", fmt.Sprintf("%s: any %d of %d shares restore it", o.Policy, o.K, o.N))
	t.Row("state", o.State+"; "+survives(o))
	t.Row("class", o.Class.String())
	for _, s := range o.Shares {
		t.Row(fmt.Sprintf("share %d", s.Point), fmt.Sprintf("%s at %s", s.State, s.Site))
	}
	return t.Write(a.out, "")
}

func (a *app) rmCmd() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use: "rm NAME...", Short: "remove objects at every site", Args: args(1, -1), ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, given []string) error { return a.rm(c.Context(), given, at) },
	}
	c.Flags().StringVar(&at, "at", "", "the node that holds the objects (default: the first home that knows each)")
	a.completeNodes(c, "at")
	return c
}

// rm removes what it can and then reports the first failure.
func (a *app) rm(ctx context.Context, names []string, at string) error {
	p, err := a.find()
	if err != nil {
		return err
	}
	removed := []string{}
	var failed []error
	for _, name := range names {
		client, _, err := p.holder(ctx, at, name)
		if err == nil {
			err = client.Delete(ctx, name)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		removed = append(removed, name)
		if !a.json && !a.quiet {
			fmt.Fprintf(a.out, "removed %s\n", show.Name(name))
		}
	}
	if a.json {
		err = a.answer(map[string][]string{"removed": removed})
	}
	if len(failed) > 0 {
		return qsc.E("", qsc.KindOf(failed[0]), "", "%w", bare(errors.Join(failed...)))
	}
	return err
}

// bare takes the kinds off an error whose caller says them.
func bare(err error) error {
	return errors.New(strings.TrimPrefix(plain(err), qsc.KindOf(err).String()+": "))
}
