package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// Bring adds size bytes of r to the pool in d, also while its node runs: a
// temporary file, its fdatasync, the rename, the sync of the directory. Errors:
// Invalid when r ends too soon, NoSpace, Timeout; after each nothing was added.
func Bring(ctx context.Context, d durable.FS, r io.Reader, size int64, class qsc.Class, progress func(done, total int64)) (err error) {
	if size <= 0 || size > maxSize {
		return qsc.E("pool.Bring", qsc.Invalid, "", "%d bytes: give 1 to %d", size, int64(maxSize))
	}
	name := fmt.Sprintf("%016x%s", time.Now().UnixNano(), suffix)
	f, err := d.Open(name+tmpSuffix, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(write(ctx, f, r, mark{class: class, size: size}, progress), f.Close())
	if err == nil {
		err = d.Rename(name+tmpSuffix, name)
	}
	if err != nil {
		return errors.Join(err, d.Remove(name+tmpSuffix))
	}
	return d.SyncDir(".")
}

func write(ctx context.Context, f durable.File, r io.Reader, m mark, progress func(done, total int64)) error {
	if err := f.Allocate(dataStart + m.size); err != nil {
		return err
	}
	if _, err := f.WriteAt(m.marshal(), 0); err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	defer clear(buf)
	for done := int64(0); done < m.size; {
		if ctx.Err() != nil {
			return qsc.E("pool.Bring", qsc.Timeout, "", "given up: %w", context.Cause(ctx))
		}
		part := buf[:min(int64(len(buf)), m.size-done)]
		if n, err := io.ReadFull(r, part); err != nil {
			return qsc.E("pool.Bring", qsc.Invalid, "", "the source ended after %d of %d bytes, all of which count as spent: %w", done+int64(n), m.size, err)
		}
		if _, err := f.WriteAt(part, dataStart+done); err != nil {
			return err
		}
		done += int64(len(part))
		if progress != nil {
			progress(done, m.size)
		}
	}
	return f.Sync()
}
