package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"golang.org/x/sys/unix"
)

// Lock takes the directory root for this process: an flock on root/lock, which
// the system drops when the process ends however it ends. The file holds the
// process number in decimal. unlock may be called more than once. Error: Busy
// naming the process that has the directory.
func Lock(root string) (unlock func() error, err error) {
	name := filepath.Join(root, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fail("Lock", name, err)
	}
	if err := onFd(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fail("Lock", name, err)
		}
		return nil, qsc.E("durable.Lock", qsc.Busy, "", "%s is in use by process %s: stop it first", root, holder(f))
	}
	if err := writePid(f); err != nil {
		f.Close()
		return nil, fail("Lock", name, err)
	}
	return sync.OnceValue(func() error { return fail("Unlock", name, f.Close()) }), nil
}

func writePid(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func holder(f *os.File) string {
	b, _ := io.ReadAll(io.LimitReader(f, 32))
	if _, err := strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		return "(unknown)"
	}
	return strings.TrimSpace(string(b))
}
