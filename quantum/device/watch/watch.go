// Package watch tells when something changes in a directory that another process
// writes: by inotify where there is one, else by looking at it now and then.
//
// It does not say what changed, nor promise that every change is told by itself:
// several become one, and now and then there is a knock without a change, for file
// systems that tell nothing of what other machines do. Whoever is told looks.
package watch

import (
	"os"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// How often a directory is looked at: where nothing tells of changes, and where the
// system tells most of them.
const (
	often  = 100 * time.Millisecond
	seldom = 3 * time.Second
)

// Watcher watches one directory. Its methods may be called by any goroutine.
type Watcher struct {
	knock chan struct{}
	stop  chan struct{}
	once  sync.Once
	end   func() // of the system's telling
	jobs  sync.WaitGroup
}

// Dir watches a directory, which must exist. Errors: NotFound, Other.
func Dir(path string) (*Watcher, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, qsc.E("watch.Dir", qsc.NotFound, "", "there is no directory %s: %w", path, err)
	} else if !info.IsDir() {
		return nil, qsc.E("watch.Dir", qsc.NotFound, "", "%s is no directory", path)
	}
	w := &Watcher{knock: make(chan struct{}, 1), stop: make(chan struct{})}
	every := seldom
	told, err := w.system(path)
	if err != nil {
		every = often
	}
	w.end = told
	w.jobs.Go(func() { w.tick(every) })
	return w, nil
}

// Changed receives after changes. One receiver is meant.
func (w *Watcher) Changed() <-chan struct{} { return w.knock }

// Close ends the watching.
func (w *Watcher) Close() {
	w.once.Do(func() {
		close(w.stop)
		if w.end != nil {
			w.end()
		}
	})
	w.jobs.Wait()
}

func (w *Watcher) tell() {
	select {
	case w.knock <- struct{}{}:
	default: // one is waiting already
	}
}

func (w *Watcher) tick(every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			w.tell()
		case <-w.stop:
			return
		}
	}
}
