package watch

import (
	"os"

	"golang.org/x/sys/unix"
)

const events = unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF

// system has inotify tell of changes until the returned function is called.
func (w *Watcher) system(path string) (end func(), err error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "inotify") // non-blocking: a read waits in the runtime, and Close ends it
	if _, err := unix.InotifyAddWatch(fd, path, events); err != nil {
		_ = f.Close()
		return nil, err
	}
	w.jobs.Go(func() {
		buf := make([]byte, 16<<10) // what the events say is not needed
		for {
			if _, err := f.Read(buf); err != nil {
				return
			}
			w.tell()
		}
	})
	return func() { _ = f.Close() }, nil
}
