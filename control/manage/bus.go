package manage

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
)

const (
	reconnectWait = 100 * time.Millisecond
	tableQueue    = 64   // messages waiting here; more are dropped, and come again
	reportQueue   = 8192 // all nodes at once
)

// BusConfig says how to reach the bus.
type BusConfig struct {
	Name string // of this node or controller

	// Broker is in this process. Without one, Servers are the host:port of the
	// controllers' brokers or of an external NATS cluster, any of which will do,
	// under TLS.
	Broker      *Broker
	Servers     []string
	TLS         *tls.Config
	Controllers []string // certificate names a server may have; none: any that the CA vouches for

	User, Password string // of an external cluster that asks for them
	Log            *slog.Logger
}

// Bus is a client's connection to the bus. It comes back by itself when lost. It
// implements control.Bus: messages are delivered at most once, and whoever needs
// one sends it again.
type Bus struct {
	nc   *nats.Conn
	back chan struct{} // holds one token after every reconnection
}

var _ control.Bus = (*Bus)(nil)

// Dial connects. It returns a Bus that goes on trying when no server answers
// yet. Errors: Invalid for a faulty config.
func Dial(c BusConfig) (*Bus, error) {
	const op = "manage.Dial"
	b := &Bus{back: make(chan struct{}, 1)}
	options := []nats.Option{
		nats.Name(c.Name), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait), nats.ReconnectBufSize(-1), nats.PingInterval(brokerPing),
		nats.MaxPingsOutstanding(2), nats.ReconnectHandler(b.came), nats.ConnectHandler(b.came), nats.ErrorHandler(report(c.Log)),
	}
	urls := "nats://in-process"
	if c.Broker != nil {
		options = append(options, nats.InProcessServer(c.Broker.ns))
	} else {
		hard, err := hybrid(op, c.TLS, c.Controllers)
		if err != nil {
			return nil, err
		}
		if len(c.Servers) == 0 {
			return nil, qsc.E(op, qsc.Invalid, c.Name, "name at least one server of the bus")
		}
		options = append(options, nats.Secure(hard))
		urls = "tls://" + strings.Join(c.Servers, ",tls://")
	}
	if c.User != "" {
		options = append(options, nats.UserInfo(c.User, c.Password))
	}
	nc, err := nats.Connect(urls, options...)
	if err != nil {
		return nil, qsc.E(op, qsc.Invalid, c.Name, "%w", err)
	}
	b.nc = nc
	return b, nil
}

func (b *Bus) came(*nats.Conn) {
	select {
	case b.back <- struct{}{}:
	default:
	}
}

// report logs what happens on the connection; without a log it is dropped, for
// every such message comes again.
func report(log *slog.Logger) nats.ErrHandler {
	return func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if log != nil {
			log.Warn("bus", "err", err)
		}
	}
}

// Report implements control.Bus. Errors: Invalid; Unreachable while no server
// answers.
func (b *Bus) Report(ctx context.Context, r control.Report) error {
	data, err := EncodeReport(r)
	if err != nil {
		return err
	}
	return b.send(ctx, "manage.Report", subjectReport+string(r.Node), data)
}

// push sends a table to its node.
func (b *Bus) push(ctx context.Context, t control.Table) error {
	data, err := EncodeTable(t)
	if err != nil {
		return err
	}
	return b.send(ctx, "manage.push", subjectTable+string(t.Node), data)
}

// hello tells all nodes who leads now and asks for their reports.
func (b *Bus) hello(ctx context.Context, epoch uint64) error {
	data, err := EncodeTable(control.Table{Epoch: epoch})
	if err != nil {
		return err
	}
	return b.send(ctx, "manage.hello", subjectHello, data)
}

func (b *Bus) send(ctx context.Context, op, subject string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return qsc.E(op, qsc.Timeout, "", "%w", err)
	}
	if err := b.nc.Publish(subject, data); err != nil {
		return qsc.E(op, qsc.Unreachable, "", "no server of the bus answers: %w", err)
	}
	return nil
}

// Tables implements control.Bus. take is also called with a table of version 0
// when a new leader, or a connection that came back, asks for a report.
// Malformed messages are dropped.
func (b *Bus) Tables(ctx context.Context, node qsc.NodeID, take func(control.Table)) error {
	return b.listen(ctx, tableQueue, []string{subjectTable + string(node), subjectHello}, func(m *nats.Msg) {
		if m == nil {
			take(control.Table{Node: node})
			return
		}
		t, err := DecodeTable(m.Data)
		if err != nil {
			return
		}
		if m.Subject == subjectHello {
			t = control.Table{Node: node, Epoch: t.Epoch}
		}
		take(t)
	})
}

// reports calls take for every well-formed report until ctx ends.
func (b *Bus) reports(ctx context.Context, take func(control.Report)) error {
	return b.listen(ctx, reportQueue, []string{subjectReport + "*"}, func(m *nats.Msg) {
		if m == nil {
			return
		}
		r, err := DecodeReport(m.Data)
		if err == nil && m.Subject == subjectReport+string(r.Node) {
			take(r)
		}
	})
}

// listen calls take for every message on the subjects, and with nil when the
// connection has come back, until ctx ends.
func (b *Bus) listen(ctx context.Context, queue int, subjects []string, take func(*nats.Msg)) error {
	in := make(chan *nats.Msg, queue)
	for _, s := range subjects {
		sub, err := b.nc.ChanSubscribe(s, in)
		if err != nil {
			return qsc.E("manage.listen", qsc.Unreachable, "", "%w", err)
		}
		defer sub.Unsubscribe() // the connection may be gone by then
	}
	for {
		select {
		case <-ctx.Done():
			return qsc.E("manage.listen", qsc.Timeout, "", "%w", context.Cause(ctx))
		case m := <-in:
			take(m)
		case <-b.back:
			take(nil)
		}
	}
}

// Connected reports whether a server answers now.
func (b *Bus) Connected() bool { return b.nc.IsConnected() }

// Close ends the connection. What was sent last is lost when no server answers
// within a second.
func (b *Bus) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if b.nc.IsConnected() {
		_ = b.nc.FlushWithContext(ctx) // every message can be lost; this is manners
	}
	b.nc.Close()
	return nil
}
