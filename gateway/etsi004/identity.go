package etsi004

import (
	"crypto/x509"
	"net/url"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
)

// AppOf returns the application that a source or destination URI names:
//
//   - "qkd://NAME@node" and "qkd://NAME" are NAME; the node's part, a path, a
//     query (where a token may stand) and a fragment say nothing of who it is;
//   - any other URI with a scheme is itself, without query and fragment;
//   - a text without "://" and ":" is itself.
//
// Error: Invalid for an empty name, one of more than 255 bytes, control
// characters, a password in the URI, or no URI at all.
func AppOf(uri string) (qsc.AppID, error) {
	name, err := nameOf(uri)
	if err != nil || name == "" || len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", qsc.E("etsi004.AppOf", qsc.Invalid, "", "no application's name: write NAME or qkd://NAME@node")
	}
	return qsc.AppID(name), nil
}

func nameOf(uri string) (string, error) {
	if !strings.Contains(uri, ":") {
		return uri, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", err
	}
	if u.Scheme != "qkd" || u.Opaque != "" {
		plain, _, _ := strings.Cut(uri, "#")
		plain, _, _ = strings.Cut(plain, "?")
		return plain, nil
	}
	if u.User == nil {
		return u.Host, nil
	}
	if _, has := u.User.Password(); has {
		return "", url.InvalidHostError(u.Host)
	}
	return u.User.Username(), nil
}

// maxNames bounds the names of one certificate.
const maxNames = 16

// CertNames returns the applications that a client certificate names: its
// common name and its URI alternative names, in the forms that AppOf takes.
func CertNames(cert *x509.Certificate) []qsc.AppID {
	texts := []string{cert.Subject.CommonName}
	for _, u := range cert.URIs {
		texts = append(texts, u.String())
	}
	var names []qsc.AppID
	for _, t := range texts[:min(len(texts), maxNames)] {
		if app, err := AppOf(t); err == nil {
			names = append(names, app)
		}
	}
	return names
}
