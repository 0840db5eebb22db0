package manage

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/quantum-secure-cloud/qsc"
)

// Bounds of the embedded broker.
const (
	brokerStart   = 10 * time.Second
	brokerLook    = 100 * time.Millisecond
	brokerPing    = 5 * time.Second // a dead connection is noticed after two to three
	brokerPending = 16 << 20        // bytes waiting for one slow client, who is then cut off
	brokerSubs    = 8               // subscriptions of one node
)

// BrokerConfig says where the embedded broker listens.
type BrokerConfig struct {
	Name   string      // of this controller
	Listen string      // host:port for nodes; "" serves this process only
	TLS    *tls.Config // certificate, RootCAs and ClientCAs; needed with Listen and Cluster

	// Cluster is host:port for the brokers of other controllers, Routes theirs.
	// Brokers so joined pass on every message, whichever of them a node is
	// connected to. Controllers are the certificate names that may join.
	Cluster     string
	Routes      []string
	Controllers []string

	// Node reports whether a certificate's common name is a node of the network.
	// A node may send its own reports and hear its own tables, nothing else.
	Node func(name string) bool
	Log  *slog.Logger // nil: none
}

// Broker is a NATS server inside this process, without any storage.
type Broker struct{ ns *server.Server }

// StartBroker starts the embedded broker. Errors: Invalid for a faulty config;
// Busy when an address is taken.
func StartBroker(c BrokerConfig) (*Broker, error) {
	const op = "manage.StartBroker"
	o, err := brokerOptions(op, c)
	if err != nil {
		return nil, err
	}
	ns, err := server.NewServer(o)
	if err != nil {
		return nil, qsc.E(op, qsc.Invalid, c.Name, "%w", err)
	}
	said := &brokerLog{log: c.Log}
	ns.SetLoggerV2(said, false, false, false)
	ns.Start()
	for begin := time.Now(); !ns.ReadyForConnections(brokerLook); {
		if said.fatal() != "" || time.Since(begin) > brokerStart {
			ns.Shutdown()
			return nil, qsc.E(op, qsc.Busy, c.Name, "the bus does not start: %s", said.fatal())
		}
	}
	return &Broker{ns}, nil
}

func brokerOptions(op string, c BrokerConfig) (*server.Options, error) {
	o := &server.Options{
		ServerName: c.Name, DontListen: c.Listen == "", NoSigs: true, NoSystemAccount: true,
		MaxPayload: MaxMessage, MaxPending: brokerPending, MaxSubs: brokerSubs, PingInterval: brokerPing, MaxPingsOut: 2,
		DisableShortFirstPing: true, WriteDeadline: brokerPing, AuthTimeout: brokerPing.Seconds(), TLSTimeout: brokerPing.Seconds(),
		CustomClientAuthentication: gate{c.Node},
	}
	if c.Listen != "" {
		if err := listenAt(op, c.Listen, &o.Host, &o.Port); err != nil {
			return nil, err
		}
		hard, err := hybrid(op, c.TLS, nil)
		if err != nil {
			return nil, err
		}
		o.TLSConfig, o.TLSVerify = hard, true
	}
	if c.Cluster == "" {
		return o, nil
	}
	return o, clusterOptions(op, c, o)
}

func clusterOptions(op string, c BrokerConfig, o *server.Options) error {
	if len(c.Controllers) == 0 {
		return qsc.E(op, qsc.Invalid, c.Name, "name the certificates of the controllers that may join the bus")
	}
	hard, err := hybrid(op, c.TLS, c.Controllers)
	if err != nil {
		return err
	}
	o.Cluster.Name, o.Cluster.TLSConfig, o.Cluster.TLSTimeout = "qsc", hard, brokerPing.Seconds()
	o.Cluster.ConnectRetries = 1 << 30 // one of the others may be away for days
	for _, r := range c.Routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "tls", Host: r})
	}
	return listenAt(op, c.Cluster, &o.Cluster.Host, &o.Cluster.Port)
}

// listenAt takes host:port apart; port 0 lets the system choose.
func listenAt(op, address string, host *string, port *int) error {
	h, p, err := net.SplitHostPort(address)
	n, bad := strconv.ParseUint(p, 10, 16)
	if err != nil || bad != nil || h == "" {
		return qsc.E(op, qsc.Invalid, "", "%.80q is not host:port", address)
	}
	*host, *port = h, int(n)
	if n == 0 {
		*port = server.RANDOM_PORT
	}
	return nil
}

// Addr is where nodes connect, "" inside one process.
func (b *Broker) Addr() string { return text(b.ns.Addr()) }

// ClusterAddr is where other brokers connect, "" without a cluster.
func (b *Broker) ClusterAddr() string {
	if a := b.ns.ClusterAddr(); a != nil {
		return a.String()
	}
	return ""
}

// Clients returns how many connections are open.
func (b *Broker) Clients() int { return b.ns.NumClients() }

// Close ends all connections.
func (b *Broker) Close() {
	b.ns.Shutdown()
	b.ns.WaitForShutdown()
}

func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// gate lets nodes in by their certificate and this process by its pipe.
type gate struct{ node func(string) bool }

// Check implements server.Authentication.
func (g gate) Check(c server.ClientAuthentication) bool {
	state := c.GetTLSConnectionState()
	if state == nil {
		a := c.RemoteAddress()
		return a != nil && a.Network() == "pipe"
	}
	name := peerName(state)
	if !isID(name) || g.node == nil || !g.node(name) {
		return false
	}
	c.RegisterUser(&server.User{Username: name, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{subjectReport + name}},
		Subscribe: &server.SubjectPermission{Allow: []string{subjectTable + name, subjectHello}},
	}})
	return true
}

// brokerLog passes on what the broker says.
type brokerLog struct {
	log *slog.Logger
	mu  sync.Mutex
	end string
}

func (l *brokerLog) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

func (l *brokerLog) say(level slog.Level, format string, v ...any) {
	if l.log != nil {
		l.log.Log(context.Background(), level, "bus: "+fmt.Sprintf(format, v...))
	}
}

// Noticef implements server.Logger.
func (l *brokerLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v...) }

// Warnf implements server.Logger.
func (l *brokerLog) Warnf(format string, v ...any) { l.say(slog.LevelWarn, format, v...) }

// Fatalf implements server.Logger; it must not end the process.
func (l *brokerLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	l.end = fmt.Sprintf(format, v...)
	l.mu.Unlock()
}

// Errorf implements server.Logger.
func (l *brokerLog) Errorf(format string, v ...any) { l.say(slog.LevelError, format, v...) }

// Debugf implements server.Logger.
func (l *brokerLog) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (l *brokerLog) Tracef(string, ...any) {}
