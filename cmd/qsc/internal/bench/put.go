package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// PutOptions steer Put.
type PutOptions struct {
	Size     int64  // bytes of the file
	Runs     int    // puts and gets; the median counts
	Dir      string // scratch directory; "" is the system's temporary one
	Progress func(text string)
}

// putNetwork is a home with three sites, each a process, on couriered key.
const putNetwork = `name = "bench"
[[site]]
id = "home"
[[site]]
id = "site-1"
[[site]]
id = "site-2"
[[site]]
id = "site-3"
[[node]]
id = "home"
[[node]]
id = "site-1"
[[node]]
id = "site-2"
[[node]]
id = "site-3"
[[link]]
ends = ["home", "site-1"]
kind = "preshared"
pad  = "%[1]d MiB"
[[link]]
ends = ["home", "site-2"]
kind = "preshared"
pad  = "%[1]d MiB"
[[link]]
ends = ["home", "site-3"]
kind = "preshared"
pad  = "%[1]d MiB"
[[policy]]
id = "default"
k = 2
n = 3
home = "home"
sites = ["site-1", "site-2", "site-3"]
`

// Put measures whole puts and gets of a file over three site processes, key
// provisioned before the clock starts, beside cp and fsync of the same file in
// the same run, and the largest memory of a node.
func Put(ctx context.Context, opt PutOptions) (rows []Row, err error) {
	dir, err := os.MkdirTemp(opt.Dir, "qsc-bench-")
	if err != nil {
		return nil, qsc.E("bench", qsc.Invalid, "", "%w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "file")
	opt.Progress(fmt.Sprintf("making a file of %d MiB and the key to carry it", opt.Size>>20))
	sum, err := makeFile(file, opt.Size)
	if err != nil {
		return nil, err
	}
	b, err := openBench(ctx, dir, opt)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := b.fleet.Close(); err == nil {
			err = e
		}
	}()
	for i := range opt.Runs {
		opt.Progress(fmt.Sprintf("run %d of %d", i+1, opt.Runs))
		if err := b.run(ctx, file, sum, i); err != nil {
			return nil, err
		}
	}
	return b.rows()
}

// putBench is a bench network that is up.
type putBench struct {
	fleet   *fleet.Fleet
	size    int64
	dir     string
	cp      []float64 // bytes per second
	put     []float64
	get     []float64
	putOver []float64 // ratios to cp of the same run
	getOver []float64
}

func openBench(ctx context.Context, dir string, opt PutOptions) (*putBench, error) {
	// A hundredth for frames, tags and partly used blocks, and a fixed rest.
	pad := (int64(opt.Runs)*(opt.Size+opt.Size/50))>>20 + 16
	path := filepath.Join(dir, "bench.toml")
	if err := os.WriteFile(path, fmt.Appendf(nil, putNetwork, pad), 0o600); err != nil {
		return nil, qsc.E("bench", qsc.NoSpace, "", "%w", err)
	}
	net, err := node.LoadNetwork(path)
	if err != nil {
		return nil, err
	}
	f, err := fleet.Open(ctx, net, filepath.Join(dir, "data"), fleet.Options{})
	if err != nil {
		return nil, err
	}
	b := &putBench{fleet: f, size: opt.Size, dir: dir}
	if err := f.Start(ctx); err != nil {
		return nil, fmt.Errorf("%w (%w)", err, f.Close())
	}
	if low := f.Await(ctx, filled); len(low) > 0 {
		return nil, qsc.E("bench", qsc.Unreachable, "", "links that did not come up with their key: %v (%v)", low, f.Close())
	}
	return b, nil
}

// filled says that a link is up and its rings have taken what was couriered;
// spare control blocks stay in the stock.
func filled(l admin.Link) bool { return l.Up && l.Stock <= 4*l.Block }

func makeFile(path string, size int64) (sum [32]byte, err error) {
	f, err := os.Create(path)
	if err != nil {
		return sum, qsc.E("bench", qsc.NoSpace, "", "%w", err)
	}
	defer f.Close()
	h := sha256.New()
	w := bufio.NewWriterSize(f, 1<<20)
	step := noise(1 << 20)
	for done := int64(0); done < size; done += int64(len(step)) {
		step[0], step[1], step[2] = byte(done>>20), byte(done>>28), byte(done>>36)
		part := step[:min(int64(len(step)), size-done)]
		_, _ = h.Write(part)
		if _, err := w.Write(part); err != nil {
			return sum, qsc.E("bench", qsc.NoSpace, "", "%w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return sum, qsc.E("bench", qsc.NoSpace, "", "%w", err)
	}
	return [32]byte(h.Sum(nil)), f.Sync()
}

// run times one cp, one put and one get, and compares what came back.
func (b *putBench) run(ctx context.Context, file string, sum [32]byte, i int) error {
	cp, err := b.time(func() error { return copySync(filepath.Join(b.dir, "copy"), file) })
	if err != nil {
		return err
	}
	home := admin.NewClient(b.fleet.NodeDir("home"))
	name := fmt.Sprintf("file-%d", i)
	put, err := b.time(func() error { return putFile(ctx, home, file, name, b.size) })
	if err != nil {
		return err
	}
	out := filepath.Join(b.dir, "back")
	get, err := b.time(func() error { return getFile(ctx, home, name, out) })
	if err != nil {
		return err
	}
	b.cp, b.put, b.get = append(b.cp, cp), append(b.put, put), append(b.get, get)
	b.putOver, b.getOver = append(b.putOver, put/cp), append(b.getOver, get/cp)
	if err := sameFile(out, sum); err != nil {
		return err
	}
	return home.Delete(ctx, name)
}

// time returns the speed of fn in bytes of the file per second. What was written
// before goes to the disk first, so that nobody pays for another.
func (b *putBench) time(fn func() error) (float64, error) {
	unix.Sync()
	start := time.Now()
	err := fn()
	return float64(b.size) / time.Since(start).Seconds(), err
}

// copySync is the yardstick: cp and fsync.
func copySync(to, from string) error {
	defer os.Remove(to)
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 1<<20)); err != nil {
		return err
	}
	return out.Sync()
}

func putFile(ctx context.Context, home *admin.Client, file, name string, size int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = home.Put(ctx, name, f, admin.PutOptions{Size: size})
	return err
}

func getFile(ctx context.Context, home *admin.Client, name, out string) error {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := home.Get(ctx, name, f, 0, -1); err != nil {
		return err
	}
	return f.Sync()
}

func sameFile(path string, sum [32]byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), sum[:]) {
		return qsc.E("bench", qsc.Corrupt, "", "the file came back changed")
	}
	return nil
}

func (b *putBench) rows() ([]Row, error) {
	const versus = "cp + fsync of the same file"
	rows := []Row{
		{"put-2of3", median(b.put) / 1e6, "MB/s", median(b.putOver), versus},
		{"get-2of3", median(b.get) / 1e6, "MB/s", median(b.getOver), versus},
		{"cp-fsync", median(b.cp) / 1e6, "MB/s", 1, "itself"},
	}
	if peak := b.peak(); peak > 0 {
		rows = append(rows, Row{"node-memory-peak", peak / (1 << 20), "MiB", peak / memoryLimit, "the limit of 300 MiB, page cache of the rings aside"})
	}
	return rows, nil
}
