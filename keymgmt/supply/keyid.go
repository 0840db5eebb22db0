package supply

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// A key identifier is a UUID of version 4 whose 122 free bits are a permutation
// of
//
//	segment number 32 | position in the segment, in units, 17 | size in bytes 13 | tag 60
//
// The tag is one-time: a universal hash of the pair's names and the size, under
// mask bytes that lie before the key in its segment.
const (
	maskSize  = 8
	tagBits   = 60
	halfBits  = 61
	posBits   = 17
	sizeBits  = 13
	headSize  = 64 // 32 bytes for the permutation, 16 for the hash, 16 spare
	idRounds  = 8
	maxKey    = 1<<sizeBits - 1 // bytes
	halfMask  = 1<<halfBits - 1
	tagMask   = 1<<tagBits - 1
	maxHashed = 4096 // pairs whose hashes are remembered
)

// place is where a key lies, and its tag.
type place struct {
	n    uint32 // segment
	at   uint32 // unit of the mask; the key follows
	size uint32 // bytes of the key
	tag  uint64
}

// stride is how many bytes of a segment a key of size bytes takes.
func stride(size int) int { return maskSize + (size+unit-1)/unit*unit }

// permutation is a Feistel network of eight rounds over 122 bits with AES-256 as
// round function. It makes identifiers look random to whoever does not have its
// key; that is a computational promise. No key byte depends on it.
type permutation struct{ block cipher.Block }

func newPermutation(key []byte) *permutation {
	block, err := aes.NewCipher(key[:32])
	if err != nil {
		panic("supply: a 32-byte key is an AES-256 key: " + err.Error())
	}
	return &permutation{block}
}

func (p *permutation) f(buf *[32]byte, round byte, half uint64) uint64 {
	binary.BigEndian.PutUint64(buf[:8], half)
	buf[15] = round
	p.block.Encrypt(buf[16:], buf[:16])
	return binary.BigEndian.Uint64(buf[16:]) & halfMask
}

var buffers = sync.Pool{New: func() any { return new([32]byte) }}

func (p *permutation) forward(l, r uint64) (uint64, uint64) {
	buf := buffers.Get().(*[32]byte)
	defer buffers.Put(buf)
	for i := range byte(idRounds) {
		l, r = r, l^p.f(buf, i, r)
	}
	return l, r
}

func (p *permutation) backward(l, r uint64) (uint64, uint64) {
	buf := buffers.Get().(*[32]byte)
	defer buffers.Put(buf)
	for i := range byte(idRounds) {
		l, r = r^p.f(buf, idRounds-1-i, l), l
	}
	return l, r
}

// encode returns the identifier of a place.
func (p *permutation) encode(x place) qsc.KeyID {
	hi := uint64(x.n)<<(posBits+sizeBits) | uint64(x.at)<<sizeBits | uint64(x.size) // 62 bits
	return idFrom(p.forward(hi>>1, (hi&1)<<tagBits|x.tag))
}

// decode is the inverse of encode. ok is false for a UUID of another version;
// whatever else comes in gives some place.
func (p *permutation) decode(id qsc.KeyID) (x place, ok bool) {
	l, r, ok := idHalves(id)
	if !ok {
		return x, false
	}
	l, r = p.backward(l, r)
	hi := l<<1 | r>>tagBits
	x = place{n: uint32(hi >> (posBits + sizeBits)), at: uint32(hi>>sizeBits) & (1<<posBits - 1), size: uint32(hi) & maxKey, tag: r & tagMask}
	return x, x.size > 0
}

// idFrom lays 122 bits around the version and the variant of RFC 9562.
func idFrom(l, r uint64) (id qsc.KeyID) {
	hi, lo := l<<3|r>>58, r<<6 // 122 bits, left-aligned in 128
	// hi: 48 bits, version, 12 bits; lo: variant, 62 bits.
	a, b := hi>>16, hi>>4&0xfff
	rest := hi&0xf<<58 | lo>>6
	binary.BigEndian.PutUint64(id[:], a<<16|0x4<<12|b)
	binary.BigEndian.PutUint64(id[8:], 0x2<<62|rest)
	return id
}

func idHalves(id qsc.KeyID) (l, r uint64, ok bool) {
	x, y := binary.BigEndian.Uint64(id[:]), binary.BigEndian.Uint64(id[8:])
	if x>>12&0xf != 4 || y>>62 != 2 {
		return 0, 0, false
	}
	rest := y & (1<<62 - 1)
	hi := x>>16<<16 | x&0xfff<<4 | rest>>58
	lo := rest << 6
	return hi >> 3, (hi&7)<<58 | lo>>6, true
}

// tagger makes the tags of one stream.
type tagger struct {
	key *uhash.Key

	mu    sync.RWMutex
	known map[pairKey]uint64
}

type pairKey struct {
	master, slave qsc.AppID
	size          int
}

func newTagger(point []byte) *tagger {
	k := new(uhash.Key)
	k.ResetFor((*[16]byte)(point[:16]), 64)
	return &tagger{key: k, known: map[pairKey]uint64{}}
}

// hash returns the universal hash of a pair and a size, without a mask: secret.
func (t *tagger) hash(master, slave qsc.AppID, size int) uint64 {
	p := pairKey{master, slave, size}
	t.mu.RLock()
	h, ok := t.known[p]
	t.mu.RUnlock()
	if ok {
		return h
	}
	var w wire.Writer
	w.Text(string(master)).Text(string(slave)).U32(uint32(size))
	full := t.key.Tag(new([16]byte), nil, w.B)
	h = binary.BigEndian.Uint64(full[:]) & tagMask
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= maxHashed {
		clear(t.known)
	}
	t.known[p] = h
	return h
}

// tag masks a hash with the bytes before a key.
func tag(hash uint64, mask []byte) uint64 { return (hash ^ binary.BigEndian.Uint64(mask)) & tagMask }
