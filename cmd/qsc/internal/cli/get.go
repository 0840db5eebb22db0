package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/progress"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

type getOptions struct {
	at, out        string
	offset, length int64
	force          bool
}

func (a *app) getCmd() *cobra.Command {
	o := getOptions{}
	c := &cobra.Command{
		Use: "get NAME", Short: "bring a file back from its shares",
		Long: "Get writes an object to a file of its base name in the current directory, or to the\nfile after -o; - is standard output. A file appears whole or not at all, and one that\nis there is replaced only with --force.",
		Args: args(1, 1), ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, given []string) error { return a.get(c.Context(), given[0], o) },
	}
	f := c.Flags()
	f.StringVarP(&o.out, "output", "o", "", "the file to write, - for standard output")
	f.Int64Var(&o.offset, "offset", 0, "begin at this byte")
	f.Int64Var(&o.length, "length", -1, "write so many bytes (default: to the end)")
	f.BoolVar(&o.force, "force", false, "replace a file that is there")
	f.StringVar(&o.at, "at", "", "the node that holds the object (default: the first home that knows it)")
	a.completeNodes(c, "at")
	return c
}

// fetched is what get tells programs.
type fetched struct {
	admin.Report
	File    string  `json:"file"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

func (a *app) get(ctx context.Context, name string, o getOptions) error {
	if o.offset < 0 {
		return usage{errors.New("--offset cannot be negative")}
	}
	dst, err := destination(name, o, a.out)
	if err != nil {
		return err
	}
	defer dst.drop()
	p, err := a.find()
	if err != nil {
		return err
	}
	client, obj, err := p.holder(ctx, o.at, name)
	if err != nil {
		return fate(ctx, err, "no file was written")
	}
	size := max(0, obj.Size-o.offset)
	if o.length >= 0 {
		size = min(size, o.length)
	}
	bar := a.bar(ctx, a.bars() && !dst.terminal(), name, size, client)
	defer bar.Stop()
	start := time.Now()
	rep, err := client.Get(ctx, name, bar.Writer(dst), o.offset, o.length)
	if err == nil {
		err = dst.keep(o.force)
	}
	bar.Stop()
	if err != nil {
		return fate(ctx, err, "no file was written")
	}
	return a.gotten(fetched{Report: rep, File: dst.path, Bytes: dst.n, Seconds: time.Since(start).Seconds()})
}

func (a *app) gotten(f fetched) error {
	a.warn(f.Faults)
	if f.File == "-" {
		return nil // standard output is the object's
	}
	if a.json {
		return a.answer(f)
	}
	if a.quiet {
		return nil
	}
	took := time.Duration(f.Seconds * float64(time.Second))
	var sites []string
	for _, s := range f.Sites {
		sites = append(sites, string(s))
	}
	from := ""
	if len(sites) > 0 {
		from = ", from " + strings.Join(sites, " and ")
	}
	_, err := fmt.Fprintf(a.out, "wrote %s: %s in %s (%s)%s\n", show.Name(f.File), show.Bytes(f.Bytes), show.Duration(took), show.Speed(f.Bytes, took), from)
	return err
}

// holder finds the home that stores a name: the given node or, without, the
// first that knows it.
func (p *place) holder(ctx context.Context, at, name string) (*admin.Client, admin.Object, error) {
	ids := p.homes()
	if at != "" {
		ids = []qsc.NodeID{qsc.NodeID(at)}
	}
	var failed error
	for _, id := range ids {
		client, err := p.reach(string(id), "")
		if err != nil {
			return nil, admin.Object{}, err
		}
		obj, err := client.Stat(ctx, name)
		if err == nil {
			return client, obj, nil
		}
		if failed == nil || !qsc.IsKind(err, qsc.NotFound) && qsc.IsKind(failed, qsc.NotFound) {
			failed = err
		}
	}
	if failed == nil {
		return nil, admin.Object{}, qsc.E("", qsc.Unsupported, "", "the network %s has no policy: it stores nothing", p.net.Name)
	}
	if qsc.IsKind(failed, qsc.NotFound) {
		failed = qsc.E("", qsc.NotFound, "", "there is no object %s: qsc ls shows what there is", quoteArg(name))
	}
	return nil, admin.Object{}, failed
}

// target is where a get writes: a temporary file beside its final place, or
// something that is there and is no regular file.
type target struct {
	w    io.Writer
	tmp  *os.File // nil: w is final
	path string
	n    int64
}

// destination opens where a get writes, and fails early when it could not keep
// what it fetches.
func destination(name string, o getOptions, stdout io.Writer) (*target, error) {
	if o.out == "-" {
		return &target{w: stdout, path: "-"}, nil
	}
	file, err := outputFor(name, o.out)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	switch {
	case err == nil && info.IsDir():
		return nil, qsc.E("", qsc.Invalid, "", "%s is a directory: name a file in it", quoteArg(file))
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			return nil, qsc.E("", qsc.Denied, "", "cannot write: %w", err)
		}
		return &target{w: f, path: file}, nil
	case err == nil && !o.force:
		return nil, taken(file)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".qsc-get-*")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, qsc.E("", qsc.NotFound, "", "there is no directory %s", quoteArg(filepath.Dir(file)))
	case errors.Is(err, fs.ErrPermission):
		return nil, qsc.E("", qsc.Denied, "", "may not write in %s", quoteArg(filepath.Dir(file)))
	case err != nil:
		return nil, qsc.E("", qsc.Invalid, "", "cannot write: %w", err)
	}
	return &target{w: tmp, tmp: tmp, path: file}, nil
}

// outputFor is the file to write: the one asked for or the name's last part.
func outputFor(name, out string) (string, error) {
	if out == "" {
		out = path.Base(name)
		if out == "." || out == ".." || out == "/" || strings.ContainsAny(out, "\x00\\") {
			return "", qsc.E("", qsc.Invalid, "", "%s gives no file name: name one with -o", quoteArg(name))
		}
	}
	if strings.ContainsRune(out, 0) {
		return "", qsc.E("", qsc.Invalid, "", "a file name cannot hold a NUL character")
	}
	return out, nil
}

func taken(file string) error {
	return qsc.E("", qsc.Exists, "", "%s is there already: choose another file (-o) or replace it (--force)", quoteArg(file))
}

// Write implements io.Writer.
func (t *target) Write(b []byte) (int, error) {
	n, err := t.w.Write(b)
	t.n += int64(n)
	return n, err
}

func (t *target) terminal() bool { return t.tmp == nil && progress.Wanted(t.w) }

// keep makes the file durable and gives it its name.
func (t *target) keep(force bool) error {
	if t.tmp == nil {
		return nil
	}
	if err := errors.Join(t.tmp.Sync(), t.tmp.Chmod(0o600), t.tmp.Close()); err != nil {
		return qsc.E("", qsc.Other, "", "cannot finish the file: %w", err)
	}
	if !force {
		// A link, unlike a rename, never replaces what somebody else has put
		// there since. Some file systems have none: then we look once more.
		err := os.Link(t.tmp.Name(), t.path)
		if err == nil {
			return syncDir(t.path)
		}
		if _, there := os.Lstat(t.path); errors.Is(err, fs.ErrExist) || there == nil {
			return taken(t.path)
		}
	}
	if err := os.Rename(t.tmp.Name(), t.path); err != nil {
		return qsc.E("", qsc.Other, "", "cannot name the file: %w", err)
	}
	return syncDir(t.path)
}

func syncDir(file string) error {
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return nil // a directory that can be written but not read
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return qsc.E("", qsc.Other, "", "cannot make the file durable: %w", err)
	}
	return nil
}

// drop removes the temporary file, if it still has its own name.
func (t *target) drop() {
	if t.tmp != nil {
		t.tmp.Close()
		os.Remove(t.tmp.Name())
	}
}
