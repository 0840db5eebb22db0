package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi004"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014"
)

// psk runs one end until ctx ends.
func (a *app) psk(ctx context.Context, o pskOptions, end tunnel.End) error {
	conf, err := enrol.LoadTLS(o.cert, o.key, o.ca)
	if err != nil {
		return err
	}
	if o.sae != "" && !names(conf, o.sae) {
		return qsc.E("", qsc.Invalid, "", "the certificate %s is not that of the SAE %s", o.cert, quoteArg(o.sae))
	}
	url := o.kme
	if !strings.Contains(url, "://") {
		url = "https://" + url
	}
	client, err := etsi014.NewClient(etsi014.ClientConfig{URL: url, TLS: conf})
	if err != nil {
		return err
	}
	defer client.Close()
	r := &rotations{a: a, ctx: ctx, tunnel: o.name, lead: o.follow == ""}
	keys := kmeKeys{client, o.peer}
	if r.lead {
		return r.leads(ctx, o, &tunnel.Leader{
			Tunnel: o.name, Keys: keys, End: end, State: tunnel.State{Path: o.state},
			Dial: tunnel.Dialer(o.lead, conf, qsc.AppID(o.peer)), Report: r.report,
		})
	}
	return r.follows(ctx, o, conf, &tunnel.Follower{
		Tunnel: o.name, Keys: keys, End: end, State: tunnel.State{Path: o.state}, Report: r.report,
	})
}

// names reports whether a certificate is of an SAE.
func names(conf *tls.Config, id string) bool {
	cert, err := x509.ParseCertificate(conf.Certificates[0].Certificate[0])
	return err == nil && slices.Contains(etsi004.CertNames(cert), qsc.AppID(id))
}

// rotations tells people and programs what happens to a tunnel's keys.
type rotations struct {
	a      *app
	ctx    context.Context // ends with Ctrl-C: what fails then is no news
	tunnel string
	lead   bool
	once   bool      // a failure is the program's own
	last   qsc.KeyID // in use; zero: not known
}

func (r *rotations) leads(ctx context.Context, o pskOptions, l *tunnel.Leader) error {
	if r.once = o.once; r.once {
		return l.Rotate(ctx)
	}
	r.say(rotation{Event: "leading", Address: o.lead, Every: o.every.Seconds()},
		"leading %q with the follower at %s, a new key every %s; Ctrl-C ends, and leaves the last key in place", o.name, o.lead, show.Duration(o.every))
	return r.ended(l.Run(ctx, o.every))
}

func (r *rotations) follows(ctx context.Context, o pskOptions, conf *tls.Config, f *tunnel.Follower) error {
	ln, err := net.Listen("tcp", o.follow)
	if err != nil {
		return qsc.E("", qsc.Busy, "", "cannot listen on %s: %w", o.follow, err)
	}
	r.say(rotation{Event: "following", Address: ln.Addr().String()},
		"following %q on %s; Ctrl-C ends, and leaves the last key in place", o.name, ln.Addr())
	return r.ended(f.Serve(ctx, tunnel.Listen(ln, conf, qsc.AppID(o.peer))))
}

func (r *rotations) ended(err error) error {
	if err == nil && r.last != (qsc.KeyID{}) {
		r.a.tell("\nthe tunnel goes on under key %s", r.last)
	}
	return err
}

// rotation is an event as programs get it, one on a line.
type rotation struct {
	Event   string  `json:"event"` // leading, following, rotated, failed
	Tunnel  string  `json:"tunnel"`
	Address string  `json:"address,omitempty"`       // of the control connection
	Every   float64 `json:"every_seconds,omitempty"` //
	ID      string  `json:"key_id,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // that the rotation took; the leader's
	Step    string  `json:"step,omitempty"`    // that failed
	Kind    string  `json:"kind,omitempty"`
	Text    string  `json:"text,omitempty"`
}

// say writes an event as a line of JSON or as a person reads it.
func (r *rotations) say(e rotation, format string, args ...any) {
	if !r.a.json {
		r.a.tell(format, args...)
		return
	}
	e.Tunnel = r.tunnel
	_ = json.NewEncoder(r.a.out).Encode(e)
}

// report tells of a rotation that ended or failed.
func (r *rotations) report(e tunnel.Event) {
	switch {
	case e.Err == nil && e.Step == "settle":
		r.last = e.ID
		r.say(rotation{Event: "rotated", ID: e.ID.String(), Seconds: e.Took.Seconds()},
			"%s  key %s is in use", time.Now().Format(time.TimeOnly), e.ID)
	case e.Err != nil && r.ctx.Err() == nil && !r.once:
		r.failed(e)
	}
}

func (r *rotations) failed(e tunnel.Event) {
	f := rotation{Event: "failed", Step: e.Step, Kind: qsc.KindOf(e.Err).String(), Text: plain(e.Err)}
	if e.ID != (qsc.KeyID{}) {
		f.ID = e.ID.String()
	}
	if r.a.json {
		r.say(f, "")
		return
	}
	fmt.Fprintf(r.a.err, "%s  qsc: %s: %s\n", time.Now().Format(time.TimeOnly), r.outcome(e), f.Text)
}

// outcome says in a person's words what a failed step means for the tunnel.
func (r *rotations) outcome(e tunnel.Event) string {
	const goesOn, again = "the tunnel goes on under the last key", ", and a new one is tried again soon"
	what := ""
	switch e.Step {
	case "settle":
		return "key " + e.ID.String() + " is in use, but not all is tidied up"
	case "revert":
		return "could not go back from key " + e.ID.String() + "; the next rotation makes the ends agree"
	case "hello":
		what = "no new key can be agreed on; "
	case "draw":
		what = "no new key from the network (qsc status shows its links and stock); "
	default:
		what = "key " + e.ID.String() + " is not taken into use; "
	}
	if r.lead {
		return what + goesOn + again
	}
	return what + goesOn
}

// kmeKeys is an SAE's KME as the source of a tunnel's keys.
type kmeKeys struct {
	client *etsi014.Client
	peer   string
}

const pskBits = tunnel.KeySize * 8

// Next implements tunnel.MasterSource.
func (k kmeKeys) Next(ctx context.Context) (qsc.KeyID, qsc.Secret, error) {
	c, err := k.client.EncKeys(ctx, k.peer, etsi014.KeyRequest{Number: 1, Size: pskBits})
	if err != nil {
		return qsc.KeyID{}, qsc.Secret{}, err
	}
	key, err := only(c)
	if err != nil {
		return qsc.KeyID{}, qsc.Secret{}, err
	}
	return c.IDs[0], key, nil
}

// ByID implements tunnel.SlaveSource.
func (k kmeKeys) ByID(ctx context.Context, id qsc.KeyID) (qsc.Secret, error) {
	c, err := k.client.DecKeys(ctx, k.peer, id)
	if err != nil {
		return qsc.Secret{}, err
	}
	return only(c)
}

func only(c *etsi014.Container) (qsc.Secret, error) {
	if len(c.IDs) == 1 && c.Size == tunnel.KeySize {
		return c.Bytes, nil
	}
	c.Bytes.Zeroise()
	return qsc.Secret{}, errors.New("the KME answers with another number or size of keys than was asked for")
}
