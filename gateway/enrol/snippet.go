package enrol

import (
	"bytes"
	"embed"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/quantum-secure-cloud/qsc"
)

//go:embed snippets/*.txt
var snippetFiles embed.FS

var snippets = template.Must(template.New("").Option("missingkey=error").ParseFS(snippetFiles, "snippets/*.txt"))

// Client is what a client's configuration needs to know.
type Client struct {
	SAE      qsc.AppID // this client
	Peer     qsc.AppID // whom it shares key with
	KME      string    // of its node: https://host:port, or host:port
	SKIP     string    // host:port of its node's SKIP gateway; cisco-skip only
	CAFile   string    // paths as the client's machine has them
	CertFile string
	KeyFile  string
	Remote   string // address of the other encryptor; "": a placeholder
	Follows  bool   // the peer leads: draws the keys and says when to change
}

// MaxFortiGateCertificates is how many certificates `config vpn qkd` takes.
const MaxFortiGateCertificates = 4

// Snippets names the clients there is ready-made configuration for.
func Snippets() []string {
	return []string{"curl", "fortigate", "cisco-skip", "strongswan", "wireguard"}
}

// view is what templates see.
type view struct {
	Client
	Host, Port         string
	SKIPHost, SKIPPort string
	SlavePath          string // percent-encoded
	Name               string // safe as a name in any configuration
	Certificates       int
}

// Snippet returns the configuration of one kind of client, to be pasted. It
// holds no key. Errors: NotFound for another kind, Invalid for values that would
// break out of the text or that the client does not take.
func Snippet(kind string, c Client) (string, error) {
	if !slices.Contains(Snippets(), kind) {
		return "", qsc.E("enrol.Snippet", qsc.NotFound, "", "no snippet for %q; there are %s", kind, strings.Join(Snippets(), ", "))
	}
	v, err := c.view(kind)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := snippets.ExecuteTemplate(&b, kind+".txt", v); err != nil {
		return "", qsc.E("enrol.Snippet", qsc.Other, "", "%w", err)
	}
	return b.String(), nil
}

func (c Client) view(kind string) (v view, err error) {
	for _, id := range []qsc.AppID{c.SAE, c.Peer} {
		if err := CheckAppID(id); err != nil {
			return v, err
		}
		if strings.ContainsAny(string(id), "'`$\n") {
			return v, invalid("the SAE ID %q cannot be put into a command line safely: quote, backquote and dollar sign", id)
		}
	}
	if c.Remote == "" {
		c.Remote = "REMOTE-ADDRESS"
	}
	c.KME = strings.TrimSuffix(strings.TrimPrefix(c.KME, "https://"), "/")
	for _, s := range []string{c.CAFile, c.CertFile, c.KeyFile, c.Remote} {
		if s == "" || strings.ContainsFunc(s, unsafe) {
			return v, invalid("%q cannot be put into a command line safely: letters, digits and %q are taken", s, safeMarks)
		}
	}
	v = view{Client: c, SlavePath: url.PathEscape(string(c.Peer)), Name: plainName(string(c.Peer)), Certificates: MaxFortiGateCertificates}
	if v.Host, v.Port, err = hostPort("KME", c.KME); err != nil {
		return v, err
	}
	if kind == "cisco-skip" {
		v.SKIPHost, v.SKIPPort, err = hostPort("SKIP gateway", c.SKIP)
	}
	return v, err
}

const safeMarks = "-_./:@%+="

func unsafe(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(safeMarks, r))
}

func hostPort(what, s string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(s)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || net.ParseIP(host) == nil && !isHost(host) {
		return "", "", invalid("the address of the %s is host:port such as 192.0.2.1:8443, not %q", what, s)
	}
	return host, port, nil
}

// plainName keeps letters and digits of an ID, at most 20, for the names of
// objects in a configuration.
func plainName(id string) string {
	var b strings.Builder
	for _, r := range id {
		if b.Len() == 20 {
			break
		}
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}
