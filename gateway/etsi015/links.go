package etsi015

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
)

const op = "etsi015"

// entries reads the body of a POST or PUT: qkd_links with its list, as deployed
// controllers send it, or the list alone.
func entries(b []byte) ([]Link, error) {
	var in struct {
		Links *Links `json:"qkd_links"`
		List  []Link `json:"qkd_link"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, qsc.E(op, qsc.Invalid, "", "the body is not JSON of qkd_links: %w", err)
	}
	if in.Links != nil {
		in.List = append(in.List, in.Links.List...)
	}
	if len(in.List) == 0 || len(in.List) > maxLinks {
		return nil, qsc.E(op, qsc.Invalid, "", "the body holds %d entries of qkd_link; 1 to %d can be", len(in.List), maxLinks)
	}
	return in.List, nil
}

// hop reads one entry of a virtual link at a node. The ends of the link are the
// local and remote node of the entry; the hops are UUIDs of nodes, the next ones
// in order.
func (s *Server) hop(here qsc.NodeID, l Link) (control.Hop, error) {
	if t := strings.TrimPrefix(l.Type, types); t == "PHYS" {
		return control.Hop{}, qsc.E(op, qsc.Unsupported, string(here), "physical links are of the network description; only VIRT links are installed here")
	} else if t != "VIRT" {
		return control.Hop{}, qsc.E(op, qsc.Invalid, string(here), "qkdl_type %.40q is not VIRT", l.Type)
	}
	id, err := parse(l.ID)
	if err != nil {
		return control.Hop{}, err
	}
	h := control.Hop{Link: control.VirtualID(id), Node: here, Bandwidth: qsc.BitRate(l.Bandwidth), Off: l.Enable != nil && !*l.Enable}
	names := append([]string{l.Local.Node, l.Remote.Node}, l.Next...)
	if l.Prev != nil && *l.Prev != "" {
		names = append(names, *l.Prev)
	}
	nodes := make([]qsc.NodeID, len(names))
	for i, n := range names {
		known := false
		if nodes[i], known = s.ids.of(n); !known {
			return control.Hop{}, qsc.E(op, qsc.Invalid, string(here), "no node has the UUID %.40q", n)
		}
	}
	h.From, h.To, h.Next = nodes[0], nodes[1], nodes[2:2+len(l.Next)]
	if len(nodes) > 2+len(l.Next) {
		h.Prev = nodes[len(nodes)-1]
	}
	if len(h.Next) == 0 && h.Prev == "" {
		return control.Hop{}, qsc.E(op, qsc.Invalid, string(here), "a VIRT link has virt_prev_hop, virt_next_hop or both")
	}
	return h, nil
}

// post installs entries that are not there yet.
func (s *Server) post(w http.ResponseWriter, r *http.Request) error {
	here, hops, err := s.decode(r)
	if err != nil {
		return err
	}
	have, err := s.net.Hops(r.Context(), here)
	if err != nil {
		return err
	}
	for _, h := range hops {
		for _, o := range have {
			if o.Link == h.Link {
				return qsc.E(op, qsc.Exists, string(here), "virtual link %s is here already: PUT replaces it", virtual(h.Link))
			}
		}
	}
	for _, h := range hops {
		if err := s.net.PutHop(r.Context(), h); err != nil {
			return err
		}
	}
	w.Header().Set("Location", strings.TrimSuffix(r.URL.Path, "/")+"/qkd_link="+virtual(hops[0].Link))
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *Server) decode(r *http.Request) (here qsc.NodeID, hops []control.Hop, err error) {
	if here, err = s.at(r); err != nil {
		return "", nil, err
	}
	b, err := body(r)
	if err != nil {
		return "", nil, err
	}
	list, err := entries(b)
	if err != nil {
		return "", nil, err
	}
	for _, l := range list {
		h, err := s.hop(here, l)
		if err != nil {
			return "", nil, err
		}
		hops = append(hops, h)
	}
	return here, hops, nil
}

// key reads qkd_link=UUID.
func key(r *http.Request) (control.VirtualID, error) {
	text, ok := strings.CutPrefix(r.PathValue("link"), "qkd_link=")
	if !ok {
		return control.VirtualID{}, qsc.E(op, qsc.NotFound, "", "name the link as qkd_link=UUID")
	}
	id, err := parse(text)
	return control.VirtualID(id), err
}

// put installs or replaces one entry.
func (s *Server) put(w http.ResponseWriter, r *http.Request) error {
	id, err := key(r)
	if err != nil {
		return err
	}
	_, hops, err := s.decode(r)
	if err != nil {
		return err
	}
	if len(hops) != 1 || hops[0].Link != id {
		return qsc.E(op, qsc.Invalid, "", "the body of a PUT holds the one link that the path names")
	}
	if err := s.net.PutHop(r.Context(), hops[0]); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// drop removes one entry.
func (s *Server) drop(w http.ResponseWriter, r *http.Request) error {
	here, err := s.at(r)
	if err != nil {
		return err
	}
	id, err := key(r)
	if err != nil {
		return err
	}
	if err := s.net.DropHop(r.Context(), id, here); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// link answers one link.
func (s *Server) link(w http.ResponseWriter, r *http.Request) error {
	id, err := key(r)
	if err != nil {
		return err
	}
	n, err := s.read(r)
	if err != nil {
		return err
	}
	for _, l := range n.Links.List {
		if l.ID == virtual(id) {
			return answer(w, map[string]any{"qkd_link": []Link{l}})
		}
	}
	return qsc.E(op, qsc.NotFound, n.Location, "there is no such link here")
}
