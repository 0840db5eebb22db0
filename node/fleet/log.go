package fleet

import (
	"bytes"
	"os"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
)

// maxLog is the size in bytes at which a log file is set aside as FILE.1, in
// place of the one before.
const maxLog = 4 << 20

// maxLine bounds the last line that is kept for error messages.
const maxLine = 1 << 10

// boundedLog is a file that never takes more than twice maxLog. A log that
// cannot be written is dropped, never in the way of the node.
type boundedLog struct {
	path string
	mu   sync.Mutex
	f    *os.File
	size int64
	last []byte // the last whole line
	part []byte // what came behind it

	panic []byte // the line with which the Go runtime said why it ends
}

func openLog(path string) (*boundedLog, error) {
	l := &boundedLog{path: path}
	return l, l.open()
}

func (l *boundedLog) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return qsc.E("fleet", qsc.Invalid, "", "cannot open the log: %w", err)
	}
	if info, err := f.Stat(); err == nil {
		l.size = info.Size()
	}
	l.f = f
	return nil
}

// Write implements io.Writer. It never fails.
func (l *boundedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(b)
	if l.size+int64(len(b)) > maxLog {
		l.rotate()
	}
	if l.f != nil {
		n, _ := l.f.Write(b)
		l.size += int64(n)
	}
	return len(b), nil
}

func (l *boundedLog) rotate() {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		return
	}
	_ = l.open()
}

// remember keeps the last whole line and the one that says why a Go program has
// ended: what follows that are its stacks. Long lines are cut.
func (l *boundedLog) remember(b []byte) {
	for line := range bytes.Lines(b) {
		l.part = append(l.part, line[:min(len(line), max(0, maxLine-len(l.part)))]...)
		if line[len(line)-1] != '\n' {
			return
		}
		l.last = append(l.last[:0], bytes.TrimRight(l.part, "\n")...)
		l.part = l.part[:0]
		if bytes.HasPrefix(l.last, []byte("panic: ")) || bytes.HasPrefix(l.last, []byte("fatal error: ")) {
			l.panic = bytes.Clone(l.last)
		}
	}
}

// lastLine is what the process said last, or why it panicked.
func (l *boundedLog) lastLine() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.panic) > 0:
		return string(l.panic)
	case len(l.last) == 0:
		return string(l.part)
	}
	return string(l.last)
}

// Close closes the file; what is written after is dropped.
func (l *boundedLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size = 0
	f := l.f
	l.f = nil
	if f == nil {
		return nil
	}
	return f.Close()
}
