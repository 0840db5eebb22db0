package supply

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// batchSpace is what a batch of n payload bytes takes in the file.
func batchSpace(n int) int { return (batchHead + n + sector - 1) / sector * sector }

// frame returns a batch: magic 4, generation 8, sequence 8, length 4, CRC-32C of
// all but itself 4, the payload, zeros to a whole sector.
func frame(gen, seq uint64, payload []byte) []byte {
	b := make([]byte, batchSpace(len(payload)))
	binary.BigEndian.PutUint32(b, batchMagic)
	binary.BigEndian.PutUint64(b[4:], gen)
	binary.BigEndian.PutUint64(b[12:], seq)
	binary.BigEndian.PutUint32(b[20:], uint32(len(payload)))
	copy(b[batchHead:], payload)
	binary.BigEndian.PutUint32(b[24:], batchSum(b, len(payload)))
	return b
}

func batchSum(b []byte, n int) uint32 {
	return crc32.Update(crc32.Checksum(b[:24], castagnoli), castagnoli, b[batchHead:batchHead+n])
}

// parseFrame returns the payload of the batch at the front of b, and its
// sequence number.
func parseFrame(gen uint64, b []byte) (payload []byte, seq uint64, ok bool) {
	if len(b) < batchHead || binary.BigEndian.Uint32(b) != batchMagic || binary.BigEndian.Uint64(b[4:]) != gen {
		return nil, 0, false
	}
	n := binary.BigEndian.Uint32(b[20:])
	if n > maxBatch || int(n) > len(b)-batchHead || binary.BigEndian.Uint32(b[24:]) != batchSum(b, int(n)) {
		return nil, 0, false
	}
	return b[batchHead : batchHead+n], binary.BigEndian.Uint64(b[12:]), true
}

// replay hands the payloads of a journal to apply, in order, up to the batch that
// a crash has torn. A whole batch behind a damaged one is Corrupt: marks are
// missing then, and key could serve twice.
func replay(gen uint64, b []byte, apply func(payload []byte) error) error {
	want := uint64(0)
	for len(b) > 0 {
		payload, seq, ok := parseFrame(gen, b)
		if !ok || seq != want {
			break
		}
		if err := apply(payload); err != nil {
			return err
		}
		b = b[min(batchSpace(len(payload)), len(b)):]
		want++
	}
	if want == 0 {
		return qsc.E("supply.Open", qsc.Corrupt, "", "%s has no beginning: what was given out is not known. Remove the supply's directory at both ends to start with fresh key", nameOf(gen))
	}
	for at := sector; at < len(b); at += sector {
		if _, seq, ok := parseFrame(gen, b[at:]); ok && seq >= want {
			return qsc.E("supply.Open", qsc.Corrupt, "", "%s is damaged in the middle: marks are missing. Remove the supply's directory at both ends to start with fresh key", nameOf(gen))
		}
	}
	return nil
}

// load finds the newest journal and replays it. It returns the generation, 0
// when there is none.
func load(fs durable.FS, apply func(payload []byte) error) (gen uint64, err error) {
	gens, err := generations(fs)
	if err != nil || len(gens) == 0 {
		return 0, err
	}
	gen = slices.Max(gens)
	f, err := fs.Open(nameOf(gen), os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	size, err := f.Size()
	if err == nil && size > maxJournal {
		err = qsc.E("supply.Open", qsc.Corrupt, "", "%s has %d bytes, more than a journal ever has", nameOf(gen), size)
	}
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return 0, errors.Join(err, f.Close())
	}
	return gen, errors.Join(replay(gen, b, apply), f.Close())
}

// generations lists the journals, and removes what a crash has left half made.
func generations(fs durable.FS) (gens []uint64, err error) {
	list, err := fs.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		text, ok := strings.CutPrefix(e.Name(), journalName)
		if !ok {
			continue
		}
		if strings.HasSuffix(text, ".tmp") {
			_ = fs.Remove(e.Name())
			continue
		}
		if gen, err := strconv.ParseUint(text, 16, 64); err == nil {
			gens = append(gens, gen)
		}
	}
	return gens, nil
}
