package manage

import (
	"errors"
	"hash/crc32"
	"io/fs"
	"os"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
)

// The file of an agent: what a restarted node goes on with. It holds no key and
// can be lost; then the node finds its own routes until a controller speaks.
//
//	8   magic
//	8   boots of this node so far
//	4+n table as on the bus, empty when there never was one
//	4   crc32c of all that, against decay
const (
	savedName  = "routes"
	savedMagic = "QSCROUT1"
)

type saved struct {
	boot  uint64
	table control.Table // Version 0: none
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s saved) encode() ([]byte, error) {
	var table []byte
	if s.table.Version > 0 {
		var err error
		if table, err = EncodeTable(s.table); err != nil {
			return nil, err
		}
	}
	w := new(wire.Writer).Raw([]byte(savedMagic)).U64(s.boot).Bytes(table)
	return w.U32(crc32.Checksum(w.B, castagnoli)).B, nil
}

func decodeSaved(b []byte) (s saved, err error) {
	const op = "manage.decodeSaved"
	r := wire.NewReader(b)
	magic := string(r.Take(len(savedMagic)))
	s.boot = r.U64()
	table := r.Bytes(MaxMessage)
	sum := r.U32()
	if err := r.Done(); err != nil {
		return saved{}, err
	}
	if magic != savedMagic || sum != crc32.Checksum(b[:len(b)-4], castagnoli) || s.boot > maxNumber {
		return saved{}, qsc.E(op, qsc.Corrupt, "", "the stored routes are damaged")
	}
	if len(table) == 0 {
		return s, nil
	}
	if s.table, err = DecodeTable(table); err != nil {
		return saved{}, qsc.E(op, qsc.Corrupt, "", "%w", err)
	}
	return s, nil
}

// load reads the file. fresh is true when there is none or it is damaged: routes
// can be found again, so that is no reason not to start.
func load(d durable.FS) (s saved, fresh bool, err error) {
	f, err := d.Open(savedName, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return saved{}, true, nil
	}
	if err != nil {
		return saved{}, false, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return saved{}, false, err
	}
	if size > MaxMessage+1024 {
		return saved{}, true, nil
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
		return saved{}, false, err
	}
	if s, err = decodeSaved(b); err != nil {
		return saved{}, true, nil
	}
	return s, false, nil
}

// save replaces the file: a crash leaves the old or the new one.
func save(d durable.FS, s saved) error {
	b, err := s.encode()
	if err != nil {
		return err
	}
	return durable.Replace(d, savedName, b)
}
