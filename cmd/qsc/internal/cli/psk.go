package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/ikev2"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/vici"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/wireguard"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi004"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014"
)

// pskOptions are what both kinds of encryptor need.
type pskOptions struct {
	kme, sae, peer string
	cert, key, ca  string
	lead, follow   string
	every          time.Duration
	state, name    string
	once           bool
}

const pskLong = `
Run it at both ends of the tunnel, as the two applications (SAEs) that share key: one end
leads (--lead ADDRESS of the other end), the other follows (--listen ADDRESS).
The leader draws a key from its node by ETSI 014 and tells the follower its identifier over
mutual TLS with the SAEs' own certificates; both change keys in step, over and over, and go
back to the old one together when something fails.`

// pskCmd is qsc psk.
func (a *app) pskCmd() *cobra.Command {
	return group("psk", "rotate the pre-shared keys of encryptors with keys from the network", a.pskWireGuard(), a.pskIKEv2())
}

func (o *pskOptions) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.kme, "kme", "", "this end's KME: https://host:port (ETSI 014)")
	f.StringVar(&o.sae, "sae", "", "this SAE's ID; checked against the certificate")
	f.StringVar(&o.peer, "peer-sae", "", "the SAE at the other end")
	f.StringVar(&o.cert, "cert", "", "this SAE's certificate")
	f.StringVar(&o.key, "key", "", "its key")
	f.StringVar(&o.ca, "ca", "", "the CA's certificate")
	f.StringVar(&o.lead, "lead", "", "lead: host:port of the other end")
	f.StringVar(&o.follow, "listen", "", "follow: host:port to listen on for the leader")
	f.DurationVar(&o.every, "every", 2*time.Minute, "time between rotations (the leader's)")
	f.StringVar(&o.state, "state", "", "a file that remembers the identifier of the last key, never the key")
	f.StringVar(&o.name, "tunnel", "tunnel", "a name for the tunnel, the same at both ends")
	f.BoolVar(&o.once, "once", false, "rotate once and end (the leader)")
	for _, n := range []string{"kme", "peer-sae", "cert", "key", "ca"} {
		_ = c.MarkFlagRequired(n) // the flags are there
	}
	c.MarkFlagsOneRequired("lead", "listen")
	c.MarkFlagsMutuallyExclusive("lead", "listen")
}

func (a *app) pskWireGuard() *cobra.Command {
	var o pskOptions
	var device, socket, key string
	c := &cobra.Command{
		Use: "wireguard", Short: "rotate the pre-shared key of a WireGuard peer",
		Long: "Wireguard rotates a peer's pre-shared key through the userspace control protocol\n" +
			"(wireguard-go and its kin). A session that runs goes on; the new key takes part from the\n" +
			"next handshake, within about two minutes of traffic." + pskLong,
		Example: "  qsc psk wireguard --interface wg0 --peer BASE64 --kme https://127.0.0.1:8443 --peer-sae bob \\\n" +
			"      --cert alice.pem --key alice.key --ca ca.pem --lead 192.0.2.2:7000",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			id, err := wireguard.ParsePeerID(key)
			if err != nil {
				return usage{fmt.Errorf("--peer: %w", err)}
			}
			d := wireguard.Named(device)
			if socket != "" {
				d = wireguard.Device{Socket: socket}
			}
			return a.psk(c.Context(), o, &wireguard.End{Device: d, Peer: id})
		},
	}
	o.add(c)
	f := c.Flags()
	f.StringVar(&device, "interface", "wg0", "the WireGuard interface")
	f.StringVar(&socket, "socket", "", "its control socket (default: "+wireguard.SocketDir+"/INTERFACE.sock)")
	f.StringVar(&key, "peer", "", "the peer's public key, as wg prints it")
	_ = c.MarkFlagRequired("peer")
	return c
}

func (a *app) pskIKEv2() *cobra.Command {
	var o pskOptions
	var socket, conf, conn, child string
	var userspace bool
	c := &cobra.Command{
		Use: "ikev2", Short: "rotate the post-quantum pre-shared key (RFC 8784) of a strongSwan connection",
		Long: "Ikev2 loads each key into charon over its vici socket as a PPK under the key's identifier,\n" +
			"makes a new IKE SA with it beside the old one, and closes the old one when traffic has\n" +
			"moved. The leader is the end that makes IKE SAs." + pskLong,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := os.ReadFile(conf)
			if err != nil {
				return qsc.E("", qsc.NotFound, "", "the connection's description: %w", err)
			}
			k, err := ikev2.ParseConn(text, conn, child)
			if err != nil {
				return err
			}
			if o.lead != "" {
				return a.psk(c.Context(), o, &ikev2.Initiator{Socket: socket, Conn: k})
			}
			return a.psk(c.Context(), o, &ikev2.Responder{Socket: socket, Conn: k, Userspace: userspace})
		},
	}
	o.add(c)
	f := c.Flags()
	f.StringVar(&socket, "vici", vici.Socket, "charon's vici socket")
	f.StringVar(&conf, "conf", "/etc/swanctl/swanctl.conf", "the file that describes the connection")
	f.StringVar(&conn, "conn", "", "the connection's name in it")
	f.StringVar(&child, "child", "", "the child whose traffic the tunnel carries (default: its only one)")
	f.BoolVar(&userspace, "userspace", false, "charon encrypts itself (plugin kernel-libipsec)")
	_ = c.MarkFlagRequired("conn")
	return c
}

// psk runs one end until ctx ends.
func (a *app) psk(ctx context.Context, o pskOptions, end tunnel.End) error {
	conf, err := enrol.LoadTLS(o.cert, o.key, o.ca)
	if err != nil {
		return err
	}
	if o.sae != "" && !names(conf, o.sae) {
		return qsc.E("", qsc.Invalid, "", "the certificate %s is not that of the SAE %s", o.cert, quoteArg(o.sae))
	}
	client, err := etsi014.NewClient(etsi014.ClientConfig{URL: o.kme, TLS: conf})
	if err != nil {
		return err
	}
	defer client.Close()
	keys := kmeKeys{client, o.peer}
	state := tunnel.State{Path: o.state}
	if o.follow != "" {
		return a.pskFollow(ctx, o, conf, &tunnel.Follower{Tunnel: o.name, Keys: keys, End: end, State: state, Report: a.rotated})
	}
	l := &tunnel.Leader{Tunnel: o.name, Keys: keys, End: end, State: state, Dial: tunnel.Dialer(o.lead, conf, qsc.AppID(o.peer)), Report: a.rotated}
	if o.once {
		return l.Rotate(ctx)
	}
	a.tell("leading %s every %s; Ctrl-C ends, and leaves the last key in place", o.name, show.Duration(o.every))
	return l.Run(ctx, o.every)
}

// names reports whether a certificate is of an SAE.
func names(conf *tls.Config, id string) bool {
	cert, err := x509.ParseCertificate(conf.Certificates[0].Certificate[0])
	return err == nil && slices.Contains(etsi004.CertNames(cert), qsc.AppID(id))
}

func (a *app) pskFollow(ctx context.Context, o pskOptions, conf *tls.Config, f *tunnel.Follower) error {
	ln, err := net.Listen("tcp", o.follow)
	if err != nil {
		return qsc.E("", qsc.Busy, "", "cannot listen on %s: %w", o.follow, err)
	}
	a.tell("following %s on %s; Ctrl-C ends, and leaves the last key in place", o.name, ln.Addr())
	return f.Serve(ctx, tunnel.Listen(ln, conf, qsc.AppID(o.peer)))
}

// rotated tells of a rotation that ended or failed.
func (a *app) rotated(e tunnel.Event) {
	switch {
	case e.Err != nil:
		fmt.Fprintf(a.err, "qsc: %s failed for key %s: %v\n", e.Step, e.ID, e.Err)
	case e.Step == "settle" && a.json:
		_ = a.answer(map[string]any{"key_id": e.ID.String(), "seconds": e.Took.Seconds()})
	case e.Step == "settle":
		a.tell("%s  key %s is in use", time.Now().Format(time.TimeOnly), e.ID)
	}
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
