// Package transport carries everything that nodes say to each other over
// key-consuming channels: one TCP connection for each QKD link, inside which
// requests, their names included, are in one-time-pad frames, and public messages
// (Endpoint.Send) in clear ones, all under one-time tags. Nothing computational is
// needed for secrecy or authenticity.
//
// It stores no key (keymgmt), chooses no path (control) and knows no meaning of
// what it carries (cloud, keymgmt/relay). Only the connection's preface, which
// names the link, the frame headers, which name pad positions, and public messages
// are in clear.
package transport

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
)

// Method numbers a request on the wire. The numbers are given out once, here,
// and never reused.
type Method uint8

// The methods of the floors above.
const (
	SiteCreate Method = 1 + iota
	SiteOpen
	SiteStat
	SiteList
	SiteDelete
	SiteStatus
)

// Caller sends requests to neighbours. Endpoint is the room; a test may have
// its own.
type Caller interface {
	// Call opens a request to a directly linked peer and sends its head, at most
	// MaxHead bytes. The caller must Close the stream. ctx bounds the whole
	// request: when it ends, the stream fails with Timeout.
	// Errors: NotFound when there is no link, Unreachable when no link is up.
	Call(ctx context.Context, peer qsc.NodeID, m Method, head []byte) (*Stream, error)
}

// Handler serves one request. It reads from and writes to the stream; a
// returned error reaches the caller with its Kind. peer is authenticated by the
// pads of its link.
type Handler func(ctx context.Context, peer qsc.NodeID, head []byte, s *Stream) error

// Limits of a request.
const (
	MaxHead    = 64 << 10
	MaxMessage = 5 << 20
)

// LinkStatus is what a node tells of one of its channels.
type LinkStatus struct {
	Link    qsc.LinkID
	Peer    qsc.NodeID
	Up      bool
	Why     string // when not up, the last reason
	Waiting bool   // a frame waits for key
	Resumed int64  // connections taken up again within a session
}
