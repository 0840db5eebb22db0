package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/ikev2"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/vici"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/wireguard"
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
back to the old one together when something fails. The tunnel then goes on under the old key
and the leader tries again, after a second at first, later after --every.

Either process may be started first, and be started again at any time. Ctrl-C ends a
rotation that is under way and leaves its key in place. With --json each event is an object
on a line of its own: {"event": "leading", "following", "rotated" or "failed", ...}.
qsc sae snippet CLIENT SAE PEER prints the whole command for an application.`

// pskCmd is qsc psk.
func (a *app) pskCmd() *cobra.Command {
	return group("psk", "rotate the pre-shared keys of encryptors with keys from the network", a.pskWireGuard(), a.pskIKEv2())
}

func (o *pskOptions) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.kme, "kme", "", "this end's KME: https://host:port (ETSI 014); qsc sae add prints it")
	f.StringVar(&o.sae, "sae", "", "this SAE's ID; checked against the certificate")
	f.StringVar(&o.peer, "peer-sae", "", "the SAE at the other end")
	f.StringVar(&o.cert, "cert", "", "this SAE's certificate")
	f.StringVar(&o.key, "key", "", "the private key of that certificate")
	f.StringVar(&o.ca, "ca", "", "the CA's certificate")
	f.StringVar(&o.lead, "lead", "", "lead: host:port of the other end")
	f.StringVar(&o.follow, "listen", "", "follow: host:port to listen on for the leader")
	f.DurationVar(&o.every, "every", 2*time.Minute, "time between rotations (the leader's)")
	f.StringVar(&o.state, "state", "", "a file that remembers the identifier of the last key, never the key")
	f.StringVar(&o.name, "tunnel", "tunnel", "a name for the tunnel, the same at both ends")
	f.BoolVar(&o.once, "once", false, "rotate once and end (the leader)")
}

// check finds what is missing or does not go together. kind is the snippet that
// has it all.
func (o *pskOptions) check(c *cobra.Command, kind string) error {
	var missing []string
	for _, n := range []string{"kme", "peer-sae", "cert", "key", "ca"} {
		if !c.Flags().Changed(n) {
			missing = append(missing, "--"+n)
		}
	}
	leads, follows := c.Flags().Changed("lead"), c.Flags().Changed("listen")
	switch {
	case len(missing) > 0:
		return usage{fmt.Errorf("%s not given: qsc sae snippet %s SAE PEER prints the whole command of an application", strings.Join(missing, ", "), kind)}
	case leads == follows:
		return usage{errors.New("one end of the tunnel leads and the other follows: give either --lead HOST:PORT of the other end, or --listen HOST:PORT")}
	case follows && (c.Flags().Changed("once") || c.Flags().Changed("every")):
		return usage{errors.New("the leader decides when to rotate: --once and --every go with --lead")}
	case leads && !hostPort(o.lead):
		return usage{fmt.Errorf("--lead %s: give host and port of the other end, such as 192.0.2.2:7910", quoteArg(o.lead))}
	case follows && !hostPort(o.follow):
		return usage{fmt.Errorf("--listen %s: give host and port, or only the port, such as :7910", quoteArg(o.follow))}
	case o.every <= 0:
		return usage{fmt.Errorf("--every %v: give the time between two rotations, such as 2m", o.every)}
	}
	return nil
}

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

func (a *app) pskWireGuard() *cobra.Command {
	var o pskOptions
	var device, socket, key string
	c := &cobra.Command{
		Use: "wireguard", Short: "rotate the pre-shared key of a WireGuard peer",
		Long: "Wireguard rotates a peer's pre-shared key through the userspace control protocol\n" +
			"(wireguard-go and its kin). A session that runs goes on; the new key takes part from the\n" +
			"next handshake, within about two minutes of traffic." + pskLong,
		Example: "  qsc psk wireguard --interface wg0 --peer-sae bob --kme https://192.0.2.1:8443 \\\n" +
			"      --cert alice.pem --key alice.key --ca ca.pem --lead 192.0.2.2:7910\n" +
			"  qsc psk wireguard --interface wg0 --peer-sae alice --kme https://192.0.2.2:8443 \\\n" +
			"      --cert bob.pem --key bob.key --ca ca.pem --listen :7910",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c, "wireguard"); err != nil {
				return err
			}
			d := wireguard.Named(device)
			if socket != "" {
				d = wireguard.Device{Socket: socket}
			}
			id, err := onePeer(c.Context(), d, key)
			if err != nil {
				return err
			}
			return a.psk(c.Context(), o, &wireguard.End{Device: d, Peer: id})
		},
	}
	o.add(c)
	f := c.Flags()
	f.StringVar(&device, "interface", "wg0", "the WireGuard interface")
	f.StringVar(&socket, "socket", "", "its control socket (default: "+wireguard.SocketDir+"/INTERFACE.sock)")
	f.StringVar(&key, "peer", "", "the peer's public key, as wg prints it (default: the interface's only peer)")
	return c
}

// onePeer reads the name of a peer; without one it is the device's only one.
func onePeer(ctx context.Context, d wireguard.Device, name string) (wireguard.PeerID, error) {
	if name != "" {
		id, err := wireguard.ParsePeerID(name)
		if err != nil {
			return id, usage{fmt.Errorf("--peer: %w", err)}
		}
		return id, nil
	}
	peers, err := d.Peers(ctx)
	if err != nil {
		return wireguard.PeerID{}, err
	}
	var names []string
	for _, p := range peers {
		p.PSK.Zeroise()
		names = append(names, p.ID.String())
	}
	switch len(peers) {
	case 1:
		return peers[0].ID, nil
	case 0:
		return wireguard.PeerID{}, qsc.E("", qsc.NotFound, "", "the interface has no peer yet: add it with wg set, then rotate its key")
	}
	return wireguard.PeerID{}, usage{fmt.Errorf("the interface has %d peers: say which with --peer: %s", len(names), strings.Join(names[:min(len(names), 8)], ", "))}
}

func (a *app) pskIKEv2() *cobra.Command {
	var o pskOptions
	var socket, conf, conn, child string
	var userspace bool
	var linger time.Duration
	c := &cobra.Command{
		Use: "ikev2", Short: "rotate the post-quantum pre-shared key (RFC 8784) of a strongSwan connection",
		Long: "Ikev2 loads each key into charon over its vici socket as a PPK under the key's identifier,\n" +
			"makes a new IKE SA with it beside the old one, and closes the old one when traffic has\n" +
			"moved. The leader is the end that makes IKE SAs." + pskLong,
		Example: "  qsc psk ikev2 --conn sites --peer-sae bob --kme https://192.0.2.1:8443 \\\n" +
			"      --cert alice.pem --key alice.key --ca ca.pem --lead 192.0.2.2:7910\n" +
			"  qsc psk ikev2 --conn sites --peer-sae alice --kme https://192.0.2.2:8443 \\\n" +
			"      --cert bob.pem --key bob.key --ca ca.pem --listen :7910",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c, "strongswan"); err != nil {
				return err
			}
			text, err := os.ReadFile(conf)
			if err != nil {
				kind := qsc.Denied
				if errors.Is(err, fs.ErrNotExist) {
					kind = qsc.NotFound
				}
				return qsc.E("", kind, "", "name the file that describes the connection with --conf: %w", err)
			}
			k, err := ikev2.ParseConn(text, conn, child)
			if err != nil {
				return err
			}
			if o.lead != "" {
				return a.psk(c.Context(), o, &ikev2.Initiator{Socket: socket, Conn: k, Linger: linger})
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
	f.BoolVar(&userspace, "userspace", false, "charon encrypts itself (plugin kernel-libipsec); the follower needs to know")
	f.DurationVar(&linger, "linger", ikev2.DefaultLinger, "how long the old IKE SA stays for packets under way (the leader's)")
	_ = c.MarkFlagRequired("conn")
	return c
}
