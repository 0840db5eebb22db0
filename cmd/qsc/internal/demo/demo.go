// Package demo puts a fresh network to the test in front of a person: it stores
// a file as shares, kills sites, gets the file back, and shows that too few
// shares give nothing.
//
// Everything it shows is done by node processes and read from them; it keeps no
// figures of its own but the clock's.
package demo

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/progress"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// linkTime bounds how long the links of a fresh network may take to come up.
// The pads add to that what a slow disk takes for them, in bytes per second.
const (
	linkTime = 30 * time.Second
	slowest  = 20 << 20
)

// Options steer a demo.
type Options struct {
	Network string    // a file or a built-in name
	File    string    // "": this program's own executable
	Parent  string    // where the demo's directory is made; "": the temporary one
	Keep    bool      // leave the directory behind
	Say     io.Writer // the story for people
	Bars    bool      // draw progress on standard error
}

// run is a demo under way.
type run struct {
	Result
	opt   Options
	plan  *plan
	fleet *fleet.Fleet
	home  *admin.Client
	start time.Time
}

// Run plays the demo and returns what it found. It fails when anything is not as
// it must be: a put or get that fails, a file that differs, a restore that
// should have been refused. No process and, without Keep, no file is left.
func Run(ctx context.Context, opt Options) (res Result, err error) {
	if opt.File == "" {
		if opt.File, err = os.Executable(); err != nil {
			return res, qsc.E("demo", qsc.Other, "", "cannot find this program's own file: name one: %w", err)
		}
	}
	times := int64(1)
	if opt.Keep {
		times = 2
	}
	r := &run{opt: opt, start: time.Now()}
	if r.plan, err = newPlan(opt.Network, opt.File, times); err != nil {
		return res, err
	}
	dir, err := scratch(opt.Parent)
	if err != nil {
		return res, err
	}
	if err := r.plan.room(dir); err != nil {
		return res, errors.Join(err, os.Remove(dir))
	}
	defer func() {
		if !opt.Keep || err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	err = r.play(ctx, dir)
	return r.Result, err
}

// play is the story, act by act.
func (r *run) play(ctx context.Context, dir string) error {
	r.begin(dir)
	if err := r.open(ctx, dir); err != nil {
		return err
	}
	defer r.fleet.Close()
	for _, act := range []func(context.Context) error{r.put, r.loseAndGet, r.loseTooMany, r.account} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	if err := r.fleet.Close(); err != nil {
		return err
	}
	r.Seconds = time.Since(r.start).Seconds()
	r.end(dir)
	return nil
}

// open starts the network: its directory, its pads, its processes.
func (r *run) open(ctx context.Context, dir string) error {
	start := time.Now()
	bar := progress.Start(ctx, r.opt.Bars, "couriering random", 2*r.plan.pad, nil)
	defer bar.Stop()
	f, err := fleet.Open(ctx, r.plan.net, dir, fleet.Options{Progress: func(done, _ int64) { bar.Set(done) }})
	if err != nil {
		return err
	}
	bar.Stop()
	r.fleet = f
	if err := f.Start(ctx); err != nil {
		return errors.Join(err, f.Close())
	}
	r.home = admin.NewClient(f.NodeDir(r.Home))
	if err := r.connect(ctx); err != nil {
		return errors.Join(err, f.Close())
	}
	r.Open = Open{Seconds: time.Since(start).Seconds(), Pad: r.plan.pad}
	r.opened()
	return nil
}

// connect waits until every link is up and both its ends have taken their pads
// out of the couriered stock.
func (r *run) connect(ctx context.Context) error {
	limit := linkTime + time.Duration(r.plan.pad/slowest)*time.Second
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	bar := progress.Start(ctx, r.opt.Bars, "taking up the pads", 2*r.plan.pad, nil)
	defer bar.Stop()
	stock := map[string]int64{}
	bad := r.fleet.Await(bounded, func(l admin.Link) bool {
		if _, ok := r.plan.made[l.ID]; ok { // makes its key as it goes, a satellite's only when one passes
			return l.Up || !r.plan.used[l.ID]
		}
		stock[string(l.ID)+" "+string(l.Peer)] = l.Stock
		left := int64(0)
		for _, n := range stock {
			left += n
		}
		bar.Set(max(0, 2*r.plan.pad-left))
		return l.Up && l.Stock == 0
	})
	if len(bad) > 0 {
		return qsc.E("demo", qsc.Unreachable, "", "after %s these links are not up with all their pads: %v", limit, bad)
	}
	return nil
}

// put stores the file and sees where its shares lie.
func (r *run) put(ctx context.Context) error {
	r.storing()
	before, err := r.sent(ctx)
	if err != nil {
		return err
	}
	f, err := os.Open(r.plan.file)
	if err != nil {
		return qsc.E("demo", qsc.Denied, "", "cannot read the file: %w", err)
	}
	defer f.Close()
	bar := progress.Start(ctx, r.opt.Bars, "put", r.Bytes, r.waiting)
	defer bar.Stop()
	start := time.Now()
	rep, err := r.home.Put(ctx, r.name(), bar.Reader(f), admin.PutOptions{Size: r.Bytes, Policy: r.Policy})
	r.Put = transfer(r.Bytes, time.Since(start), rep.Sites)
	bar.Stop()
	if err != nil {
		return err
	}
	if rep.Object.State != "stored" {
		return qsc.E("demo", qsc.Insufficient, "", "the put is %s", rep.Object.State)
	}
	r.Class = rep.Object.Class
	if err := r.locate(ctx, rep.Object, before); err != nil {
		return err
	}
	r.stored()
	return nil
}

// waiting names the links that wait for key.
func (r *run) waiting(ctx context.Context) string {
	s, err := r.home.Status(ctx)
	if err != nil {
		return ""
	}
	return progress.WaitingFor(s)
}

func transfer(n int64, took time.Duration, sites []qsc.SiteID) Transfer {
	return Transfer{Bytes: n, Seconds: took.Seconds(), MBs: show.MBPerSecond(n, took), Sites: sites}
}

// name is the object's name.
func (r *run) name() string { return filepath.Base(r.plan.file) }

// sent is the pad used so far from the home node to each of its peers.
func (r *run) sent(ctx context.Context) (map[qsc.NodeID]int64, error) {
	s, err := r.home.Status(ctx)
	if err != nil {
		return nil, err
	}
	used := map[qsc.NodeID]int64{}
	for _, l := range s.Links {
		used[l.Peer] = l.Send.Used
	}
	return used, nil
}

// locate asks every site with a share what lies there, and the home node what
// pad it cost.
func (r *run) locate(ctx context.Context, o admin.Object, before map[qsc.NodeID]int64) error {
	after, err := r.sent(ctx)
	if err != nil {
		return err
	}
	for _, s := range o.Shares {
		n, _ := r.plan.net.NodeAt(s.Site)
		sh := Share{Site: s.Site, Point: s.Point, Node: n.ID, Dir: r.fleet.NodeDir(n.ID), Pad: after[n.ID] - before[n.ID]}
		if l, ok := r.plan.net.LinkBetween(r.Home, n.ID); ok {
			sh.Link = l.ID
		}
		st, err := admin.NewClient(sh.Dir).Status(ctx)
		if err != nil {
			return err
		}
		if st.Store.Shares == 0 {
			return qsc.E("demo", qsc.Corrupt, string(s.Site), "the site is said to hold a share and holds none")
		}
		sh.Disk = st.Store.Live
		r.Shares = append(r.Shares, sh)
	}
	return nil
}

// kill ends the next site with SIGKILL.
func (r *run) kill() error {
	v := r.plan.victims(r.Shares)[len(r.Killed)]
	k := Killed{Site: v.Site, Node: v.Node, PID: r.fleet.PID(v.Node)}
	if err := r.fleet.Kill(v.Node); err != nil {
		return err
	}
	r.Killed = append(r.Killed, k)
	return nil
}
