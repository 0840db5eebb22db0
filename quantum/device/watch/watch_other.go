//go:build !linux

package watch

import "errors"

// system has nobody to ask: the directory is looked at instead.
func (w *Watcher) system(string) (end func(), err error) {
	return nil, errors.New("no inotify here")
}
