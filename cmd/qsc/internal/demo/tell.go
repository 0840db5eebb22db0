package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
)

// lineWidth is where a long text is broken.
const lineWidth = 84

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.opt.Say, format+"\n", args...) }

func (r *run) begin(dir string) {
	p := r.plan
	r.Network, r.File, r.Bytes, r.Nodes = p.net.Name, p.file, p.size, len(p.net.Nodes)
	r.Home, r.Policy, r.K, r.N = p.policy.Home, p.policy.ID, p.policy.K, p.policy.N
	if r.opt.Keep {
		r.Data = dir
	}
	r.say("Network %s: %s.", r.Network, p.net.Title)
	r.say("File %s: %s.", show.Name(p.file), show.Bytes(p.size))
	r.say("")
	r.say("1. Opening %s, each a process with a directory below", show.Plural(len(p.net.Nodes), "trusted node"))
	r.say("   %s,", dir)
	r.say("   %s ...", p.keyed())
}

// keyed says where the links have their key from.
func (p *plan) keyed() string {
	makes := len(p.made)
	couriered := fmt.Sprintf("couriering %s of random to both ends of %s", show.Bytes(p.pad), show.Plural(len(p.net.Links)-makes, "link"))
	switch makes {
	case 0:
		return "and " + couriered
	case len(p.net.Links):
		return "with " + show.Plural(makes, "link") + " that make their key as they go"
	}
	return couriered + ", with " + show.Plural(makes, "link") + " that make their key as they go"
}

func (r *run) opened() {
	var pids []string
	for _, n := range r.plan.net.Nodes {
		pids = append(pids, fmt.Sprintf("%s %d", n.ID, r.fleet.PID(n.ID)))
	}
	r.say("   Up after %.1f s; processes: %s.", r.Open.Seconds, strings.Join(pids, ", "))
}

func (r *run) storing() {
	r.say("")
	r.say("2. Storing the file at %s as %d shares, any %d of which restore it ...", r.Home, r.N, r.K)
	if d := r.plan.making; d > time.Second {
		r.say("   The slowest link takes %s to make the key for it, and again for the way back.", show.Duration(d.Round(time.Second)))
	}
}

func (r *run) stored() {
	r.say("   %s.", r.Put.text())
	t := show.NewTable("SITE", "SHARE", "ON DISK", "PAD USED", "OF LINK", "LIES IN")
	for _, s := range r.Shares {
		t.Row(string(s.Site), fmt.Sprint(s.Point), show.Bytes(s.Disk), show.Bytes(s.Pad), string(s.Link), s.Dir)
	}
	_ = t.Write(r.opt.Say, "   ")
	r.say("   Fewer than %d shares tell nothing of the file, and every byte on its way was under pad.", r.K)
}

func (t Transfer) text() string {
	return fmt.Sprintf("%s in %.2f s: %s MB/s", show.Bytes(t.Bytes), t.Seconds, show.Digits(t.MBs))
}

func (r *run) lost() {
	r.say("")
	r.say("3. Killing %s with SIGKILL, and getting the file back ...", killed(r.Killed))
}

func killed(all []Killed) string {
	var names []string
	for _, k := range all {
		names = append(names, fmt.Sprintf("%s (process %d)", k.Site, k.PID))
	}
	return strings.Join(names, " and ")
}

func (r *run) gotten() {
	from := ""
	if len(r.Get.Sites) > 0 {
		from = ", from " + sites(r.Get.Sites)
	}
	r.say("   %s%s.", r.Get.text(), from)
	r.say("   Compared with the original: the same, bit for bit.")
}

func sites(ids []qsc.SiteID) string {
	var s []string
	for _, id := range ids {
		s = append(s, string(id))
	}
	return strings.Join(s, " and ")
}

func (r *run) tooMany() {
	r.say("")
	r.say("4. Killing %s too: %d of %d shares left, %d needed ...", killed(r.Killed[len(r.Killed)-1:]), r.N-len(r.Killed), r.N, r.K)
}

func (r *run) refused() {
	if r.Refusal.Kind == "" {
		r.say("   The file is empty: there is nothing to refuse.")
		return
	}
	r.say("   Not even the beginning of the file comes back. Refused after %.2f s:", r.Refusal.Seconds)
	r.say("%s", show.Wrap(r.Refusal.Text, lineWidth, "   "))
}

func (r *run) end(dir string) {
	r.say("")
	t := show.NewTable(" ", "BYTES", "SECONDS", "MB/s")
	for _, row := range []struct {
		name string
		t    Transfer
	}{{"put", r.Put}, {"get", r.Get}} {
		t.Row(row.name, fmt.Sprint(row.t.Bytes), fmt.Sprintf("%.2f", row.t.Seconds), show.Digits(row.t.MBs))
	}
	_ = t.Write(r.opt.Say, "")
	r.say("")
	l := show.NewTable("LINK", "PAD USED THERE", "LEFT", "PAD USED BACK", "LEFT", "CLASS")
	for _, k := range r.Links {
		l.Row(string(k.ID), show.Bytes(k.SendUsed), show.Bytes(k.SendLeft), show.Bytes(k.RecvUsed), show.Bytes(k.RecvLeft), k.Class.String())
	}
	_ = l.Write(r.opt.Say, "")
	r.say("")
	r.say("Security class of the file: %s.", r.Class)
	if r.Class&qsc.OSRandom != 0 {
		r.say("  os-random: pads and coefficients come from this system's generator. With couriered")
		r.say("  physical random, the same bytes take the same way and the class is its.")
	}
	if r.Class&qsc.Simulated != 0 {
		r.say("  simulated: a link's key is made by a simulated pair. It protects nothing.")
	}
	r.say("Books: produced = used + burnt + left at every link end that still answers.")
	r.say("Everything is as it should be. %.1f s in all; no process is left.", r.Seconds)
	if r.opt.Keep {
		r.goOn(dir)
	}
}

// goOn prints how to play with what is kept.
func (r *run) goOn(dir string) {
	r.say("")
	r.say("The network and its data are kept. To go on:")
	r.say("  qsc up --data %s", dir)
	r.say("and in another terminal")
	r.say("  qsc status")
	r.say("  qsc get %s -o restored", show.Name(r.name()))
	r.say("To forget it: rm -r %s", dir)
}
