package crash

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"github.com/quantum-secure-cloud/qsc/sim/tap"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Every file is made of lines of 32 bytes: the mark of this run, the file, the
// line. A mark found on a wire or a disk is a secret that got out.
const (
	lineLen = 32
	markLen = 12
)

var mark = func() []byte {
	b := make([]byte, 5)
	_, _ = rand.Read(b) // never fails
	return append([]byte("M-"), hex.EncodeToString(b)...)
}()

// content is a file of size bytes.
func content(id uint32, size int) []byte {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, size+lineLen)
	for line := uint64(0); len(b) < size; line++ {
		b = append(b, mark...)
		for i := 28; i >= 0; i -= 4 {
			b = append(b, digits[id>>i&15])
		}
		for i := 40; i >= 0; i -= 4 {
			b = append(b, digits[line>>i&15])
		}
		b = append(b, '\n')
	}
	return b[:size]
}

// scanDisk fails when any of the byte strings is in any file below dir.
func scanDisk(t testing.TB, dir string, never ...[]byte) (files int, size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			if os.IsNotExist(err) {
				return nil // a node at work
			}
			return err
		}
		n, err := scanFile(t, path, never)
		files, size = files+1, size+n
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, size
}

func scanFile(t testing.TB, path string, never [][]byte) (size int64, err error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := make([]byte, 1<<20+tap.Longest)
	have := 0
	for {
		n, err := io.ReadFull(f, buf[have:])
		size += int64(n)
		for i, what := range never {
			if bytes.Contains(buf[:have+n], what) {
				t.Fatalf("%s holds forbidden byte string %d", path, i)
			}
		}
		if err != nil {
			return size, nil // io.EOF or io.ErrUnexpectedEOF
		}
		have = copy(buf, buf[have+n-tap.Longest:have+n])
	}
}
