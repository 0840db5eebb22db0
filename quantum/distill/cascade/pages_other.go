//go:build !linux

package cascade

// advise does nothing here: the system chooses the pages.
func advise([]state) {}
