package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// metricsServer serves /metrics (Prometheus) and /healthz, on loopback unless
// the network description names another address.
type metricsServer struct {
	http http.Server
	addr string
	work sync.WaitGroup
}

func serveMetrics(n *Node) (*metricsServer, error) {
	addr := n.self.Metrics
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, qsc.E("node.Open", qsc.Busy, string(n.cfg.Node), "metrics cannot listen on %q: %w", addr, err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(&collector{n}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", n.health)
	m := &metricsServer{addr: l.Addr().String()}
	m.http = http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	m.work.Go(func() {
		if err := m.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("metrics lost", "err", err)
		}
	})
	return m, nil
}

// Addr is where the metrics are served.
func (m *metricsServer) Addr() string { return m.addr }

// Close ends the server.
func (m *metricsServer) Close() error {
	defer m.work.Wait()
	return m.http.Close()
}

// health answers 200 while the node serves, with its alarms one a line.
func (n *Node) health(w http.ResponseWriter, r *http.Request) {
	s := n.Status(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
	for _, a := range s.Alarms {
		_, _ = w.Write([]byte("alarm: " + a + "\n"))
	}
}

// collector reads the node's status at every scrape.
type collector struct{ n *Node }

var (
	padBytes = prometheus.NewDesc("qsc_pad_bytes", "One-time pad of a link end by direction and state.", []string{"link", "direction", "state"}, nil)
	linkUp   = prometheus.NewDesc("qsc_link_up", "1 while the channel of a link is up.", []string{"link"}, nil)
	linkRate = prometheus.NewDesc("qsc_link_rate_bits_per_second", "Secret key rate of a link; 0 for couriered key.", []string{"link"}, nil)
	linkQBER = prometheus.NewDesc("qsc_link_qber", "Quantum bit error rate of a link, 0 to 1, as seen last.", []string{"link"}, nil)
	linkF    = prometheus.NewDesc("qsc_link_reconciliation_efficiency", "Bits disclosed over Shannon's limit in the last round.", []string{"link"}, nil)
	aborts   = prometheus.NewDesc("qsc_link_rounds_failed", "Rounds of distillation that gave no key, by reason.", []string{"link", "reason"}, nil)
	waiting  = prometheus.NewDesc("qsc_link_waiting_for_key", "1 while a frame waits for key.", []string{"link"}, nil)
	objects  = prometheus.NewDesc("qsc_objects", "Objects in this node's catalogue.", nil, nil)
	store    = prometheus.NewDesc("qsc_site_bytes", "Bytes of this node's site by state.", []string{"state"}, nil)
	keyBytes = prometheus.NewDesc("qsc_key_bytes", "Key shared beyond links by state.", []string{"state"}, nil)
	relayed  = prometheus.NewDesc("qsc_relay_bytes", "Key made at, or relayed through, this node.", []string{"role"}, nil)
	rounds   = prometheus.NewDesc("qsc_relay_rounds", "Relay rounds that did not go well, by outcome.", []string{"outcome"}, nil)
	epoch    = prometheus.NewDesc("qsc_route_epoch", "Controller epoch of the routes in use; 0: the node's own.", nil, nil)
	alarms   = prometheus.NewDesc("qsc_alarms", "Alarms that stand now.", nil, nil)
)

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{padBytes, linkUp, linkRate, linkQBER, linkF, aborts, waiting, objects, store, keyBytes, relayed, rounds, epoch, alarms} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s := c.n.Status(ctx)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, l := range s.Links {
		collectLink(gauge, l)
	}
	c.n.collectAborts(gauge)
	gauge(objects, float64(s.Objects))
	gauge(store, float64(s.Store.Live), "live")
	gauge(store, float64(s.Store.Disk), "disk")
	gauge(store, float64(s.Store.Free), "free")
	collectKeys(gauge, s)
	gauge(alarms, float64(len(s.Alarms)))
}

func collectLink(gauge func(*prometheus.Desc, float64, ...string), l admin.Link) {
	id := string(l.ID)
	for _, d := range []struct {
		name string
		acc  keymgmt.Account
	}{{"send", l.Send}, {"receive", l.Recv}, {"send-slots", l.SendSlots}, {"receive-slots", l.RecvSlots}} {
		gauge(padBytes, float64(d.acc.Left), id, d.name, "left")
		gauge(padBytes, float64(d.acc.Used), id, d.name, "used")
		gauge(padBytes, float64(d.acc.Burnt), id, d.name, "burnt")
	}
	gauge(linkUp, truth(l.Up), id)
	gauge(linkRate, float64(l.Rate), id)
	gauge(waiting, truth(l.Waiting), id)
	if l.Device != "" {
		gauge(linkQBER, l.QBER, id)
		gauge(linkF, l.F, id)
	}
}

// collectAborts tells why rounds of distillation failed.
func (n *Node) collectAborts(gauge func(*prometheus.Desc, float64, ...string)) {
	for _, e := range n.links {
		if d, ok := e.source.(interface{ Aborts() map[string]uint64 }); ok {
			for reason, count := range d.Aborts() {
				gauge(aborts, float64(count), string(e.link.ID), reason)
			}
		}
	}
}

func collectKeys(gauge func(*prometheus.Desc, float64, ...string), s admin.Status) {
	k := s.Keys
	for state, n := range map[string]int64{"used": k.Used, "burnt": k.Burnt, "expired": k.Expired, "left": k.Left} {
		gauge(keyBytes, float64(n), state)
	}
	gauge(relayed, float64(k.Relay.Made), "end")
	gauge(relayed, float64(k.Relay.Relayed), "between")
	for outcome, n := range map[string]int64{"failed": k.Relay.Failed, "tampered": k.Relay.Tampered, "lost-path": k.Relay.Lost} {
		gauge(rounds, float64(n), outcome)
	}
	gauge(epoch, float64(s.Control.Epoch))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
