package load

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc"
)

// bare measures two TLS connections at once, over which zeros come without any
// protocol: what TLS alone costs on this machine.
func bare(ctx context.Context, cfg Config) (qsc.BitRate, error) {
	server, client, err := bareTLS()
	if err != nil {
		return 0, err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		return 0, err
	}
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var got [2]int64
	var took [2]time.Duration
	for i := range got {
		g.Go(func() error { return zeros(l, cfg.Chunk) })
		g.Go(func() (err error) {
			got[i], took[i], err = sink(ctx, l.Addr().String(), client, cfg)
			return err
		})
	}
	err = errors.Join(g.Wait(), l.Close())
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return rate((got[0]+got[1])/2, max(took[0], took[1])), err
}

// zeros serves one connection until the reader goes.
func zeros(l net.Listener, chunk int) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	b := make([]byte, chunk)
	for {
		if _, err := conn.Write(b); err != nil {
			return nil // the reader has enough
		}
	}
}

func sink(ctx context.Context, addr string, client *tls.Config, cfg Config) (n int64, d time.Duration, err error) {
	conn, err := (&tls.Dialer{Config: client}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	b := make([]byte, cfg.Chunk)
	for begin := time.Now(); d < cfg.Duration && ctx.Err() == nil; d = time.Since(begin) {
		if _, err := io.ReadFull(conn, b); err != nil {
			return n, d, err
		}
		n += int64(len(b))
	}
	return n, d, nil
}

// bareTLS makes a certificate that lives as long as the measurement.
func bareTLS() (server, client *tls.Config, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bare TLS"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}, DynamicRecordSizingDisabled: true}
	return server, &tls.Config{RootCAs: roots}, nil
}
