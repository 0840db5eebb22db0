package manage

import (
	"crypto/tls"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

// BusClass is the security class of the bus: TLS, though its key exchange is
// hybrid post-quantum. Status shows it.
const BusClass = qsc.Computational

// hybrid returns a copy of c that speaks TLS 1.3 only, agrees on keys by
// X25519MLKEM768 only and asks both sides for a certificate. names are the peers'
// certificate names (common name) to accept; none: whoever the CA vouches for.
// Errors: Invalid when something is missing.
func hybrid(op string, c *tls.Config, names []string) (*tls.Config, error) {
	switch {
	case c == nil:
		return nil, qsc.E(op, qsc.Invalid, "", "the bus needs a certificate and a CA (mutual TLS); without them it works inside one process only")
	case len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetClientCertificate == nil:
		return nil, qsc.E(op, qsc.Invalid, "", "the bus needs a certificate of this node: make one with qsc ca")
	case c.RootCAs == nil || c.ClientCAs == nil:
		return nil, qsc.E(op, qsc.Invalid, "", "the bus needs the CA of the network for servers and for clients")
	case c.InsecureSkipVerify:
		return nil, qsc.E(op, qsc.Invalid, "", "the bus never skips the check of a certificate")
	}
	c = c.Clone()
	c.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	c.CurvePreferences = []tls.CurveID{tls.X25519MLKEM768}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	former := c.VerifyConnection
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if former != nil {
			if err := former(s); err != nil {
				return err
			}
		}
		if name := peerName(&s); len(names) > 0 && !slices.Contains(names, name) {
			return qsc.E(op, qsc.Denied, "", "certificate name %.80q is not one of those that may be here", name)
		}
		return nil
	}
	return c, nil
}

// peerName is the common name of the peer's verified certificate.
func peerName(s *tls.ConnectionState) string {
	if s == nil || len(s.VerifiedChains) == 0 || len(s.VerifiedChains[0]) == 0 {
		return ""
	}
	return s.VerifiedChains[0][0].Subject.CommonName
}
