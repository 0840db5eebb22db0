package durable

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Dir returns the tree under root, which must exist. Names cannot leave it,
// not even through symbolic links (os.Root). Errors: NotFound, Denied.
func Dir(root string) (FS, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fail("Dir", root, err)
	}
	return dir{r}, nil
}

type dir struct{ r *os.Root }

func (d dir) Open(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := d.r.OpenFile(name, flag, perm)
	if err != nil {
		return nil, fail("Open", name, err)
	}
	return file{f, name}, nil
}

func (d dir) Rename(from, to string) error { return fail("Rename", to, d.r.Rename(from, to)) }

func (d dir) Remove(name string) error { return fail("Remove", name, d.r.Remove(name)) }

func (d dir) Mkdir(name string, perm fs.FileMode) error {
	return fail("Mkdir", name, d.r.Mkdir(name, perm))
}

func (d dir) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(d.r.FS(), name)
	return list, fail("ReadDir", name, err)
}

func (d dir) Stat(name string) (fs.FileInfo, error) {
	info, err := d.r.Stat(name)
	return info, fail("Stat", name, err)
}

func (d dir) SyncDir(name string) error {
	f, err := d.r.Open(name)
	if err != nil {
		return fail("SyncDir", name, err)
	}
	defer f.Close()
	return fail("SyncDir", name, f.Sync())
}

func (d dir) Free() (int64, error) {
	f, err := d.r.Open(".")
	if err != nil {
		return 0, fail("Free", "", err)
	}
	defer f.Close()
	var st unix.Statfs_t
	err = onFd(f, func(fd int) error { return unix.Fstatfs(fd, &st) })
	return int64(st.Bavail) * int64(st.Bsize), fail("Free", "", err)
}

func (d dir) Close() error { return fail("Close", "", d.r.Close()) }

// onFd runs fn on the descriptor, again when a signal interrupted it.
func onFd(f *os.File, fn func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = conn.Control(func(fd uintptr) {
		for {
			if inner = fn(int(fd)); inner != unix.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return inner
}
