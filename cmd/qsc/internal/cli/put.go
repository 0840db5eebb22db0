package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/progress"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

type putOptions struct {
	at, policy string
	replace    bool
}

func (a *app) putCmd() *cobra.Command {
	var o putOptions
	c := &cobra.Command{
		Use: "put FILE|- [NAME]", Short: "store a file as shares",
		Long: "Put splits a file into shares and returns when each is durable at its site. NAME is\nFILE's base name when it is left out; - stores standard input.",
		Args: args(1, 2),
		RunE: func(c *cobra.Command, given []string) error { return a.put(c.Context(), given, o) },
	}
	f := c.Flags()
	f.StringVar(&o.at, "at", "", "the node that takes the file (default: the policy's home)")
	f.StringVar(&o.policy, "policy", "", "how the file is shared (default: the node's default policy)")
	f.BoolVar(&o.replace, "replace", false, "store a new version over an object of that name")
	a.completeNodes(c, "at")
	a.completePolicies(c, "policy")
	return c
}

func (a *app) put(ctx context.Context, given []string, o putOptions) error {
	name, err := nameFor(given)
	if err != nil {
		return err
	}
	src, size, err := source(given[0], a.in)
	if err != nil {
		return err
	}
	defer src.Close()
	p, err := a.find()
	if err != nil {
		return err
	}
	client, err := p.reach(o.at, o.policy)
	if err != nil {
		return err
	}
	bar := a.bar(ctx, a.bars(), name, size, client)
	defer bar.Stop()
	start := time.Now()
	rep, err := client.Put(ctx, name, bar.Reader(stoppable(ctx, src)), admin.PutOptions{Policy: o.policy, Size: size, Replace: o.replace})
	bar.Stop()
	if err != nil {
		return fate(ctx, err, "nothing was stored")
	}
	return a.stored(rep, time.Since(start))
}

// nameFor is the object's name: the second argument or the file's base name.
func nameFor(given []string) (string, error) {
	if len(given) == 2 {
		return given[1], nil
	}
	if given[0] == "-" {
		return "", usage{errors.New("standard input has no name: say qsc put - NAME")}
	}
	name := filepath.Base(given[0])
	if name == "." || name == ".." || name == string(filepath.Separator) {
		return "", usage{fmt.Errorf("%s gives no name: say qsc put FILE NAME", quoteArg(given[0]))}
	}
	return name, nil
}

// source opens what is to be stored. The size is -1 when it cannot be known.
func source(file string, stdin io.Reader) (io.ReadCloser, int64, error) {
	if file == "-" {
		return io.NopCloser(stdin), -1, nil
	}
	f, err := openFile(file)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		f.Close()
		return nil, 0, qsc.E("", qsc.Other, "", "%w", err)
	case info.IsDir():
		f.Close()
		return nil, 0, qsc.E("", qsc.Invalid, "", "%s is a directory: store its files one by one, or an archive of it", quoteArg(file))
	case !info.Mode().IsRegular() || info.Size() == 0:
		return f, sizeIfEmpty(f), nil // a pipe, a device, a file of /proc
	}
	return &exact{f: f, left: info.Size()}, info.Size(), nil
}

// stoppable ends with ctx even while src, a pipe or a terminal, keeps silent:
// nothing else can interrupt such a read. Regular files are returned as they are.
func stoppable(ctx context.Context, src io.ReadCloser) io.Reader {
	if _, regular := src.(*exact); regular {
		return src
	}
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { r.CloseWithError(context.Cause(ctx)) })
	var copying sync.WaitGroup
	copying.Go(func() { // ends with src or with the process
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{src}, make([]byte, 1<<18))
		w.CloseWithError(err)
	})
	return r
}

// sizeIfEmpty is 0 for a regular file and -1 for what may yield bytes whatever
// its size says.
func sizeIfEmpty(f *os.File) int64 {
	var one [1]byte
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if n, err := f.ReadAt(one[:], 0); n == 0 && err == io.EOF {
			return 0
		}
	}
	return -1
}

func openFile(file string) (*os.File, error) {
	if strings.ContainsRune(file, 0) {
		return nil, qsc.E("", qsc.Invalid, "", "a file name cannot hold a NUL character")
	}
	f, err := os.Open(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, qsc.E("", qsc.NotFound, "", "there is no file %s", quoteArg(file))
	case errors.Is(err, fs.ErrPermission):
		return nil, qsc.E("", qsc.Denied, "", "may not read %s: check its permissions", quoteArg(file))
	case err != nil:
		return nil, qsc.E("", qsc.Invalid, "", "cannot read the file: %w", err)
	}
	return f, nil
}

// exact yields a file of known size and refuses one that changes it meanwhile:
// before the last bytes are handed on, so that no half file is stored.
type exact struct {
	f    *os.File
	left int64
}

func (e *exact) Close() error { return e.f.Close() }

func (e *exact) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.f.Read(p[:min(int64(len(p)), e.left)])
	switch {
	case err == io.EOF:
		return 0, qsc.E("", qsc.Conflict, "", "the file became shorter while it was read: try again when nobody writes to it")
	case err != nil:
		return n, qsc.E("", qsc.Other, "", "the file cannot be read to its end: %w", err)
	}
	e.left -= int64(n)
	if e.left == 0 {
		var one [1]byte
		if more, _ := e.f.Read(one[:]); more > 0 {
			return 0, qsc.E("", qsc.Conflict, "", "the file became longer while it was read: try again when nobody writes to it")
		}
	}
	return n, nil
}

// stored tells how a put went.
func (a *app) stored(rep admin.Report, took time.Duration) error {
	a.warn(rep.Faults)
	if a.json {
		return a.answer(rep)
	}
	if a.quiet {
		return nil
	}
	o := rep.Object
	var sites []string
	for _, s := range o.Shares {
		if s.State == "durable" {
			sites = append(sites, string(s.Site))
		}
	}
	_, err := fmt.Fprintf(a.out, "stored %s: %s in %s (%s), shares at %s; any %d of %d restore it; class %s\n",
		show.Name(o.Name), show.Bytes(o.Size), show.Duration(took), show.Speed(o.Size, took), strings.Join(sites, ", "), o.K, o.N, o.Class)
	if o.State != "stored" && err == nil {
		_, err = fmt.Fprintf(a.out, "%s: %d of %d shares are durable, the rest follows when its sites are back; until then %s\n", o.State, len(sites), o.N, survives(o))
	}
	return err
}

// survives says how many losses an object still bears.
func survives(o admin.Object) string {
	switch {
	case o.Survives < 0:
		return "it cannot be read"
	case o.Survives == 0:
		return "it survives the loss of no further site"
	}
	return "it survives the loss of " + show.Plural(o.Survives, "site")
}

// warn tells of sites that did not do their part.
func (a *app) warn(faults []admin.Fault) {
	if a.json || a.quiet {
		return
	}
	for _, f := range faults {
		fmt.Fprintf(a.err, "qsc: warning: site %s was routed around: %s\n", f.Site, plain(errors.New(f.Text)))
	}
}

// fate makes an interruption say what it has left behind.
func fate(ctx context.Context, err error, left string) error {
	if errors.As(context.Cause(ctx), new(interrupted)) {
		return fmt.Errorf("interrupted: %s", left)
	}
	return err
}

// bar follows a transfer: with a bar where one is wanted, else with a line when it
// stands still for want of key.
func (a *app) bar(ctx context.Context, draw bool, name string, size int64, client *admin.Client) *progress.Bar {
	b := progress.Start(ctx, draw, name, size, waiting(client))
	if !draw && !a.quiet && !a.json {
		b.Tell(ctx, a.err, waiting(client))
	}
	return b
}

// waiting asks a node for the links that wait for key.
func waiting(client *admin.Client) func(context.Context) string {
	return func(ctx context.Context) string {
		s, err := client.Status(ctx)
		if err != nil {
			return ""
		}
		return progress.WaitingFor(s)
	}
}

// quoteArg shows an argument in an error, cut when it is long.
func quoteArg(s string) string {
	const most = 120
	if len(s) > most {
		return fmt.Sprintf("%q... (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
