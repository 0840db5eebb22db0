package record

import (
	"os"

	"github.com/quantum-secure-cloud/qsc"
)

// The bounds of what is kept of the vendor's files.
const (
	// MaxRecords is how many records of one file are read: 96 MiB. The vendor's
	// process should begin a new file before.
	MaxRecords = 1 << 21
	maxFiles   = 8       // the present file and those before it that still have unused records
	chunk      = 1 << 10 // records read at once
)

// file is one of the vendor's files, open for as long as it has unused records.
type file struct {
	f    *os.File
	next int64 // offset of the first record that is not known yet
	left int   // its records that are not used
}

// look reads what is new: in the present file, and in the one that has taken its
// place.
func (s *source) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if n := len(s.files); n > 0 {
		s.readOn(s.files[n-1])
	}
	info, err := os.Stat(s.path)
	switch {
	case err != nil && len(s.files) == 0:
		s.warn("the vendor's file cannot be read yet: " + err.Error())
	case err != nil || s.present(info): // between two files, or the same
	case !info.Mode().IsRegular():
		s.warn("the vendor's file is not a regular file")
	default:
		s.succeed()
	}
	s.prune()
	s.stir()
}

// present reports whether the present file is the one that info describes.
func (s *source) present(info os.FileInfo) bool {
	if len(s.files) == 0 {
		return false
	}
	mine, err := s.files[len(s.files)-1].f.Stat()
	return err == nil && os.SameFile(mine, info)
}

// succeed opens the file that is now at the path, after a last look at the one
// before.
func (s *source) succeed() {
	f, err := os.Open(s.path)
	if err != nil {
		s.warn("the vendor's file cannot be read: " + err.Error())
		return
	}
	if n := len(s.files); n > 0 {
		s.readOn(s.files[n-1])
	}
	s.warn("")
	next := &file{f: f}
	s.files = append(s.files, next)
	s.readOn(next)
}

// readOn takes the names of the whole records that a file has beyond what is known.
func (s *source) readOn(v *file) {
	info, err := v.f.Stat()
	if err != nil {
		s.warn("the vendor's file cannot be read: " + err.Error())
		return
	}
	if info.Size() < v.next {
		s.forget(v)
		s.warn("the vendor's file was cut short: records may be lost; it should be replaced by a new file instead")
	}
	buf := make([]byte, chunk*Size)
	defer clear(buf)
	for v.next/Size < MaxRecords {
		n, err := v.f.ReadAt(buf[:min(chunk, MaxRecords-v.next/Size)*Size], v.next)
		done := parseAll(buf[:n], func(id qsc.KeyID, at int) bool { return s.add(id, v, v.next+int64(at)) })
		v.next += int64(done)
		if err != nil || done < n {
			return // io.EOF, or a record that is not whole yet
		}
	}
	s.warn("the vendor's file is too long: it should begin a new one")
}

// forget drops what is known of a file, which is read again from its beginning.
func (s *source) forget(v *file) {
	for id, r := range s.recs {
		if r.in == v {
			s.lose(id, r)
		}
	}
	v.next = 0
}

// prune closes files that are gone from the path and used up, and the oldest where
// there are too many.
func (s *source) prune() {
	for i := 0; i < len(s.files)-1; {
		v := s.files[i]
		if v.left > 0 && len(s.files) <= maxFiles {
			i++
			continue
		}
		if v.left > 0 {
			s.warn("too many of the vendor's files hold unused records: those of the oldest are given up")
			s.forget(v)
		}
		_ = v.f.Close()
		s.files = append(s.files[:i], s.files[i+1:]...)
	}
}
