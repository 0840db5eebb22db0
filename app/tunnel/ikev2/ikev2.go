// Package ikev2 rotates the post-quantum pre-shared key (PPK, RFC 8784) of a
// strongSwan connection, through the daemon's vici socket.
//
// A PPK takes part when an IKE SA is authenticated and in nothing that is
// derived from it later, so a new PPK needs a new IKE SA. Every key gets its own
// PPK_ID, its key ID: both ends load the new PPK beside the old one, the
// Initiator makes a second IKE SA with a second child for the same traffic, and
// only when that is up, and the Responder has turned to it, the first is closed.
//
// The initial exchange of an IKE SA is not protected by the PPK, only what is
// derived from it (RFC 8784 section 6). This package writes no configuration
// file: what it loads is gone when charon stops, and a connection that needs a
// PPK stays down until the next rotation.
package ikev2

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/vici"
)

// prefix begins the names under which charon holds what this package loads.
const prefix = "qsc-"

// upTime bounds the making of an IKE SA.
const upTime = 12 * time.Second

// daemon is charon as both ends need it.
type daemon struct{ socket string }

// do runs f on a connection of its own.
func (d daemon) do(ctx context.Context, f func(*vici.Client) error) error {
	c, err := vici.Dial(ctx, d.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

func (d daemon) call(ctx context.Context, cmd string, msg *vici.Section) error {
	return d.do(ctx, func(c *vici.Client) error {
		_, err := c.Call(ctx, cmd, msg)
		return err
	})
}

// ppkName is charon's name for a loaded PPK of a connection.
func ppkName(conn string, id qsc.KeyID) string { return prefix + conn + "-" + id.String() }

// loadPPK hands a PPK to charon under the key's ID.
func (d daemon) loadPPK(ctx context.Context, conn string, k tunnel.Key) error {
	msg := (&vici.Section{}).Set("id", ppkName(conn, k.ID)).Set("type", "ppk")
	msg.Items = append(msg.Items, vici.Item{Name: "data", Text: k.Secret.Expose()})
	msg.SetList("owners", k.ID.String())
	return d.call(ctx, "load-shared", msg)
}

// unloadPPKs takes every PPK of the connection out of charon but keep.
func (d daemon) unloadPPKs(ctx context.Context, conn string, keep ...qsc.KeyID) error {
	return d.do(ctx, func(c *vici.Client) error {
		answer, err := c.Call(ctx, "get-shared", &vici.Section{})
		if err != nil {
			return err
		}
		for _, name := range answer.GetList("keys") {
			text, ours := strings.CutPrefix(name, prefix+conn+"-")
			id, err := tunnel.ParseKeyID(text)
			if !ours || err != nil || slices.Contains(keep, id) {
				continue
			}
			if _, err := c.Call(ctx, "unload-shared", (&vici.Section{}).Set("id", name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// sa is an IKE SA as far as it matters here.
type sa struct {
	id    string // charon's number for it
	ppk   bool   // authenticated with one
	up    bool   // established, with the tunnel's child installed
	reqid string // of that child
}

// sas lists the IKE SAs of a connection.
func (d daemon) sas(ctx context.Context, conn, child string) (all []sa, err error) {
	err = d.do(ctx, func(c *vici.Client) error {
		_, err := c.Stream(ctx, "list-sas", "list-sa", (&vici.Section{}).Set("ike", conn), func(e *vici.Section) {
			if s := e.Section(conn); s != nil {
				all = append(all, readSA(s, child))
			}
		})
		return err
	})
	return all, err
}

func readSA(s *vici.Section, child string) sa {
	out := sa{id: s.Get("uniqueid"), ppk: s.Get("ppk") == "yes"}
	children := s.Section("child-sas")
	if children == nil {
		return out
	}
	for _, it := range children.Items {
		if it.Kind != vici.Nested || it.Sub.Get("name") != child || it.Sub.Get("state") != "INSTALLED" {
			continue
		}
		out.up = s.Get("state") == "ESTABLISHED"
		out.reqid = it.Sub.Get("reqid")
	}
	return out
}

// sized refuses keys that are too short for RFC 8784 5.1.
func sized(op string, k tunnel.Key) error {
	if k.Secret.Len() >= tunnel.KeySize {
		return nil
	}
	return qsc.E(op, qsc.Invalid, "", "a PPK of %d bytes; RFC 8784 asks for %d at least", k.Secret.Len(), tunnel.KeySize)
}
