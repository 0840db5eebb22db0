// Package vault is the room of cloud.Vault: it splits files into shares, places
// them at sites, fetches them back, repairs what is missing and rebuilds a lost
// catalogue.
//
// It moves nothing itself (the sites do), seals nothing itself (cloud/chunk) and
// asks nobody for consent.
package vault

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/its/share"
)

// Budget is what the way to a site can carry.
type Budget struct {
	Local  bool  // no key is needed
	Send   int64 // bytes of pad left towards the site
	Recv   int64 // bytes of pad left from the site
	Finite bool  // the link makes no key: what is left is all there is
	Class  qsc.Class
	Link   qsc.LinkID // the way itself, to name what is to be provisioned
	Stall  string     // why a transfer stands still now, in words; else empty
}

// Channel is a site and the way to it.
type Channel struct {
	Site   cloud.Site
	Budget func() Budget
}

// Policy says how objects are shared.
type Policy struct {
	ID      string
	K, N, W int
	Chunk   int64        // secret bytes in a chunk
	Sites   []qsc.SiteID // candidates, N or more, the preferred first
	Source  share.Source // of the coefficients, hash keys and masks
}

// Config describes a vault.
type Config struct {
	Owner    qsc.NodeID
	Catalog  cloud.Catalog
	Sites    []Channel
	Policies []Policy // the first is the default
	// Settle, if not nil, is called before a Put is acknowledged; it returns
	// when the pads used so far are erased.
	Settle func(ctx context.Context) error
	Logger *slog.Logger
}

// Vault implements cloud.Vault.
type Vault struct {
	cfg   Config
	sites map[qsc.SiteID]Channel

	mu    sync.Mutex
	busy  map[cloud.Ref]bool // being put or repaired now
	alarm map[qsc.SiteID]string
	kick  chan struct{}
}

var _ cloud.Vault = (*Vault)(nil)

// New returns a vault. Run must be running for repairs and deferred deletions.
func New(cfg Config) *Vault {
	v := &Vault{cfg: cfg, sites: map[qsc.SiteID]Channel{}, busy: map[cloud.Ref]bool{},
		alarm: map[qsc.SiteID]string{}, kick: make(chan struct{}, 1)}
	for _, c := range cfg.Sites {
		v.sites[c.Site.ID()] = c
	}
	return v
}

// claim marks an object as being worked on; false if it is already.
func (v *Vault) claim(ref cloud.Ref) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.busy[ref] {
		return false
	}
	v.busy[ref] = true
	return true
}

func (v *Vault) unclaim(ref cloud.Ref) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.busy, ref)
}

// report logs a site's fault and keeps it as an alarm.
func (v *Vault) report(f cloud.Fault, name cloud.Ref) {
	v.cfg.Logger.Warn("site fault", "site", string(f.Site), "kind", f.Kind.String(), "object", name.Object.String(), "chunk", f.Chunk, "err", f.Err)
	if f.Kind == qsc.Tampered || f.Kind == qsc.Corrupt {
		v.mu.Lock()
		v.alarm[f.Site] = "a share at this site failed its tag: object " + name.Object.String()
		v.mu.Unlock()
	}
}

// Alarms returns what is wrong with sites, by site.
func (v *Vault) Alarms() map[qsc.SiteID]string {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := map[qsc.SiteID]string{}
	maps.Copy(all, v.alarm)
	return all
}

func (v *Vault) policy(id string) (*Policy, error) {
	for i := range v.cfg.Policies {
		if p := &v.cfg.Policies[i]; id == "" || p.ID == id {
			return p, nil
		}
	}
	if id == "" {
		return nil, qsc.E("vault.Put", qsc.Unsupported, string(v.cfg.Owner), "no policy of the network description has this node as its home: put at a home node")
	}
	return nil, qsc.E("vault.Put", qsc.Invalid, string(v.cfg.Owner), "policy %q is not one of this node's", id)
}

// Stat implements cloud.Vault.
func (v *Vault) Stat(ctx context.Context, name string) (cloud.Record, error) {
	return v.cfg.Catalog.Lookup(ctx, name)
}

// List implements cloud.Vault.
func (v *Vault) List(ctx context.Context, q cloud.Query) ([]cloud.Record, error) {
	return v.cfg.Catalog.List(ctx, q)
}

// watch calls progress until ctx ends, with the reason for standing still.
func (v *Vault) watch(ctx context.Context, sites []qsc.SiteID, done func() int64, progress cloud.Progress) {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			progress(done(), v.stalled(sites))
		}
	}
}

func (v *Vault) stalled(sites []qsc.SiteID) string {
	for _, id := range sites {
		if s := v.sites[id].Budget().Stall; s != "" {
			return s
		}
	}
	return ""
}
