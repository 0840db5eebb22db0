package durable

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sector is the unit in which a Disk keeps or loses unsynced bytes.
const sector = 512

// Disk is an FS in memory that knows what a power cut would leave: file bytes
// only after Sync, directory entries only after SyncDir. It is a test double;
// mapped files cannot grow.
type Disk struct {
	mu   sync.Mutex
	cap  int64
	now  map[string]*inode // by path; a directory's inode has dir set
	dirs map[string]*entries
}

type inode struct {
	dir  bool
	cur  []byte
	disk []byte
	maps int
}

// entries is the durable state of one directory and what was done since.
type entries struct {
	disk map[string]*inode
	log  []change
}

type change struct {
	name string
	to   *inode // nil: removed
}

// Mem returns an empty Disk of the given capacity in bytes of file content.
func Mem(capacity int64) *Disk {
	return &Disk{cap: capacity, now: map[string]*inode{".": {dir: true}},
		dirs: map[string]*entries{".": {disk: map[string]*inode{}}}}
}

// Crashed returns the disk as a power cut now would leave it; d itself stays as
// it is. Each sector and each directory change that was not synced is kept or
// lost as r says, changes of one directory in order; with a nil r all of them
// are lost.
func (d *Disk) Crashed(r *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := Mem(d.cap)
	copies := map[*inode]*inode{}
	d.crashDir(c, ".", r, copies)
	return c
}

func (d *Disk) crashDir(c *Disk, dir string, r *rand.Rand, copies map[*inode]*inode) {
	e := d.dirs[dir]
	left := maps.Clone(e.disk)
	if r != nil {
		for _, ch := range e.log[:r.IntN(len(e.log)+1)] {
			apply(left, ch)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		in, full := left[name], path.Join(dir, name)
		if copies[in] == nil {
			copies[in] = in.crashed(r)
		}
		c.now[full] = copies[in]
		c.dirs[dir].disk[name] = copies[in]
		if in.dir {
			c.dirs[full] = &entries{disk: map[string]*inode{}}
			d.crashDir(c, full, r, copies)
		}
	}
}

func apply(m map[string]*inode, ch change) {
	if ch.to == nil {
		delete(m, ch.name)
	} else {
		m[ch.name] = ch.to
	}
}

func (in *inode) crashed(r *rand.Rand) *inode {
	size := len(in.disk)
	if r != nil && r.IntN(2) == 0 {
		size = len(in.cur)
	}
	b := make([]byte, size)
	copy(b, in.disk)
	for at := 0; r != nil && at < min(size, len(in.cur)); at += sector {
		if r.IntN(2) == 0 {
			end := min(at+sector, size, len(in.cur))
			copy(b[at:end], in.cur[at:end])
		}
	}
	return &inode{dir: in.dir, cur: b, disk: slices.Clone(b)}
}

func clean(name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return path.Clean(name), nil
}

// Open implements FS.
func (d *Disk) Open(name string, flag int, _ fs.FileMode) (File, error) {
	name, err := clean(name)
	if err != nil {
		return nil, fail("Open", name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	in, ok := d.now[name]
	switch {
	case ok && flag&unix.O_CREAT != 0 && flag&unix.O_EXCL != 0:
		return nil, fail("Open", name, fs.ErrExist)
	case !ok && flag&unix.O_CREAT == 0:
		return nil, fail("Open", name, fs.ErrNotExist)
	case !ok:
		in = &inode{}
		if err := d.set(name, in); err != nil {
			return nil, fail("Open", name, err)
		}
	}
	if flag&unix.O_TRUNC != 0 {
		in.cur = nil
	}
	return &memFile{d, in, name}, nil
}

// set changes one entry and notes it for its directory.
func (d *Disk) set(name string, in *inode) error {
	e := d.dirs[path.Dir(name)]
	if e == nil {
		return fs.ErrNotExist
	}
	e.log = append(e.log, change{path.Base(name), in})
	apply(d.now, change{name, in})
	return nil
}

// Rename implements FS, for files.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, ok := d.now[from]
	if !ok || in.dir || d.dirs[path.Dir(to)] == nil || !fs.ValidPath(to) {
		return fail("Rename", from, fs.ErrNotExist)
	}
	if err := d.set(to, in); err != nil || from == to {
		return fail("Rename", to, err)
	}
	return fail("Rename", from, d.set(from, nil))
}

// Remove implements FS.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, ok := d.now[name]
	if !ok || name == "." {
		return fail("Remove", name, fs.ErrNotExist)
	}
	if in.dir {
		for other := range d.now {
			if strings.HasPrefix(other, name+"/") {
				return fail("Remove", name, unix.ENOTEMPTY)
			}
		}
		delete(d.dirs, name)
	}
	return fail("Remove", name, d.set(name, nil))
}

// Mkdir implements FS.
func (d *Disk) Mkdir(name string, _ fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.now[name]; ok || !fs.ValidPath(name) {
		return fail("Mkdir", name, fs.ErrExist)
	}
	if err := d.set(name, &inode{dir: true}); err != nil {
		return fail("Mkdir", name, err)
	}
	d.dirs[name] = &entries{disk: map[string]*inode{}}
	return nil
}

// ReadDir implements FS.
func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dirs[name] == nil {
		return nil, fail("ReadDir", name, fs.ErrNotExist)
	}
	var list []fs.DirEntry
	for _, full := range slices.Sorted(maps.Keys(d.now)) {
		if full != "." && path.Dir(full) == name {
			list = append(list, fs.FileInfoToDirEntry(d.now[full].info(full)))
		}
	}
	return list, nil
}

// Stat implements FS.
func (d *Disk) Stat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, ok := d.now[name]
	if !ok {
		return nil, fail("Stat", name, fs.ErrNotExist)
	}
	return in.info(name), nil
}

// SyncDir implements FS.
func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.dirs[name]
	if e == nil {
		return fail("SyncDir", name, fs.ErrNotExist)
	}
	for _, ch := range e.log {
		apply(e.disk, ch)
	}
	e.log = nil
	return nil
}

// Free implements FS.
func (d *Disk) Free() (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.free(), nil
}

func (d *Disk) free() int64 {
	left := d.cap
	for _, in := range d.now {
		left -= int64(len(in.cur))
	}
	return left
}

// Close implements FS.
func (d *Disk) Close() error { return nil }

type info struct {
	name string
	size int64
	dir  bool
}

func (in *inode) info(name string) info { return info{path.Base(name), int64(len(in.cur)), in.dir} }

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) IsDir() bool        { return i.dir }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
