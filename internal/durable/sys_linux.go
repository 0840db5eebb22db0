package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func syncData(f *os.File) error { return onFd(f, unix.Fdatasync) }

func reserve(f *os.File, size int64) error {
	err := onFd(f, func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return errNoReserve
	}
	return err
}

func startWriteback(f *os.File, off, n int64) error {
	return onFd(f, func(fd int) error {
		return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE)
	})
}

// keepFromDumps is best effort: an old kernel without the advice still works.
func keepFromDumps(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTDUMP) }
