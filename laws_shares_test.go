package qsc_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/chunk"
	"github.com/quantum-secure-cloud/qsc/its/gf"
	"github.com/quantum-secure-cloud/qsc/its/share"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

const whyNothing = `
Why: below k shares there must be nothing, not merely little. Coefficients are
uniform bytes taken as they come, zero included: rejecting zero, as libraries do
to keep a share from equalling the secret, tells k-1 holders what the secret is
not.`

// Law 4, by enumeration of everything: for each secret byte, what any k-1 shares
// show takes each of its values exactly once over all values of the
// coefficients. So it is uniform, and independent of the secret.
func TestLaw4BelowKNothing(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, kernel := range gf.Kernels() {
		restore, err := gf.Use(kernel)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			k, n    int
			secrets []byte
		}{{2, 2, every}, {2, 3, every}, {3, 3, []byte{0, 1, 0x80, 0xff}}, {3, 4, []byte{0, 0x53}}} {
			t.Run(fmt.Sprintf("%s %d of %d", kernel, c.k, c.n), func(t *testing.T) { enumerate(t, c.k, c.n, c.secrets) })
		}
		restore()
	}
}

func enumerate(t *testing.T, k, n int, secrets []byte) {
	splitter, err := share.NewSplitter(k, share.Points(n))
	if err != nil {
		t.Fatal(err)
	}
	coeff := allCoefficients(k)
	count := len(coeff) / (k - 1)
	shares := make([][]byte, n)
	for i := range shares {
		shares[i] = make([]byte, count)
	}
	for _, s := range secrets {
		if err := splitter.Split(bytes.Repeat([]byte{s}, count), coeff, shares); err != nil {
			t.Fatal(err)
		}
		for _, holders := range below(k, n) {
			if missed := missing(shares, holders); missed != 0 {
				t.Fatalf("the shares at places %v miss %d of %d values: they tell something of the secret.%s", holders, missed, count, whyNothing)
			}
		}
	}
}

// allCoefficients lays out every value of k-1 coefficients of one byte, one
// combination for each byte position.
func allCoefficients(k int) []byte {
	count := 1 << (8 * (k - 1))
	coeff := make([]byte, 0, (k-1)*count)
	for j := range k - 1 {
		for p := range count {
			coeff = append(coeff, byte(p>>(8*j)))
		}
	}
	return coeff
}

// below returns all sets of k-1 of n places, for k 2 or 3.
func below(k, n int) [][]int {
	var sets [][]int
	for i := range n {
		if k == 2 {
			sets = append(sets, []int{i})
			continue
		}
		for j := i + 1; j < n; j++ {
			sets = append(sets, []int{i, j})
		}
	}
	return sets
}

// missing counts the joint values that the shares of the holders never take.
func missing(shares [][]byte, holders []int) int {
	seen := make([]bool, len(shares[0]))
	left := len(seen)
	for p := range seen {
		view := 0
		for _, h := range holders {
			view = view<<8 | int(shares[h][p])
		}
		if !seen[view] {
			seen[view] = true
			left--
		}
	}
	return left
}

// script is a source whose bytes the test knows.
type script struct {
	r     *rand.ChaCha8
	alter func(p []byte) // may change what is given out
}

func (s *script) Fill(p []byte) error {
	_, err := s.r.Read(p)
	s.alter(p)
	return err
}

func (s *script) Class() qsc.Class { return qsc.Simulated }

// Law 4, on the piece itself, header, mask shares and tag included: whatever
// piece a site holds, every other secret of that length would have given the
// very same piece under some coefficients. So the piece says nothing.
func TestLaw4AnyPieceFitsAnySecret(t *testing.T) {
	const size = 1000
	one, other := bytes.Repeat([]byte{0x11}, size), make([]byte, size)
	for i := range other {
		other[i] = byte(7 * i)
	}
	for point := byte(1); point <= 3; point++ {
		mine := sealWith(t, one, func([]byte) {})
		// The coefficient c' = c + (s+s')/x gives the same value at x.
		theirs := sealWith(t, other, func(p []byte) {
			if len(p) == size {
				for i := range p {
					p[i] ^= gf.Mul(one[i]^other[i], gf.Inv(point))
				}
			}
		})
		for i := range mine {
			if same, want := bytes.Equal(mine[i], theirs[i]), byte(i+1) == point; same != want {
				t.Errorf("with coefficients for point %d, the pieces at point %d are equal: %t, want %t; something in a piece depends on the secret beyond its share.%s",
					point, i+1, same, want, whyHash)
			}
		}
	}
}

// sealWith seals one chunk as 2-of-3 pieces with the same bytes every time, as
// altered.
func sealWith(t *testing.T, secret []byte, alter func([]byte)) [][]byte {
	t.Helper()
	rec := &cloud.Record{Ref: cloud.Ref{Owner: "home", Version: 1}, K: 2, N: 3, Size: int64(len(secret)), Chunk: cloud.MinChunk}
	for p := range 3 {
		hashKey := bytes.Repeat([]byte{byte(p + 1)}, cloud.HashKeySize)
		rec.Placements = append(rec.Placements, cloud.Placement{Site: "s", Point: byte(p + 1), HashKey: qsc.NewSecret(hashKey)})
	}
	sealer, err := chunk.NewSealer(rec, &script{rand.NewChaCha8([32]byte{4}), alter})
	if err != nil {
		t.Fatal(err)
	}
	pieces := make([][]byte, 3)
	for i := range pieces {
		pieces[i] = make([]byte, sealer.PieceSize(len(secret)))
	}
	if err := sealer.Seal(0, secret, pieces, make([]byte, 3*share.TagSize)); err != nil {
		t.Fatal(err)
	}
	return pieces
}

// Law 4: the tag that a site holds is the hash plus the piece's mask, bit for bit:
// under uniform masks every tag is as likely as any other, whatever the share.
func TestLaw4TagsAreMasked(t *testing.T) {
	piece := sealWith(t, []byte("a share's bytes"), func([]byte) {})[0]
	key := uhash.NewKey([16]byte{7})
	var first [share.TagSize]byte
	for i := range 128 {
		var mask, tag [share.TagSize]byte
		if i > 0 {
			mask[i/8] = 1 << (i % 8)
		}
		if err := share.SealPiece(piece, key, &mask); err != nil {
			t.Fatal(err)
		}
		copy(tag[:], piece[len(piece)-share.TagSize:])
		if i == 0 {
			first = tag
		}
		for j := range tag {
			if tag[j]^first[j] != mask[j] {
				t.Fatalf("bit %d of the mask does not turn exactly that bit of the tag.%s", i, whyHash)
			}
		}
	}
}

const whyHash = `
Why: a plain hash of a share or a secret is a fingerprint: whoever holds it can
test guesses, and two equal secrets show as equal. What leaves a site is a tag
under a one-time mask (its/uhash) or a hiding commitment.`

// Law 4: no plain hash on the way of shares.
func TestLaw4NoPlainHashOfShares(t *testing.T) {
	allowed := except(map[string]string{
		"cloud/site/local hash/crc32": "crc32c of records, kept beside them on the site's own disk, against decay",
		"keymgmt/ledger hash/crc32":   "crc32c of table and marks on the ledger's own disk, against decay",
		"control/manage hash/crc32":   "crc32c of stored routes on the node's own disk, against decay; no secret",
		"keymgmt/supply hash/crc32":   "crc32c of the journal's batches on the node's own disk: positions and sealed gifts, no key",
		"keymgmt/pool hash/crc32":     "crc32c of a pool file's marks, positions only, on the node's own disk",
		"gateway/enrol crypto/sha256": "fingerprints of certificates and names of files, which are public",
		"gateway/sae crypto/sha256":   "fingerprint of a client's certificate, which is public",
		"gateway/admin crypto/sha256": "hash of a directory's name, for a short socket path",
	})
	for _, s := range load(t, false) {
		if !onPadPath(s.dir) && !under(s.dir, "gateway") {
			continue
		}
		for _, path := range s.imports() {
			if hashes(path) && !allowed.allow(s.dir+" "+path) {
				t.Errorf("%s imports %s. If what is hashed is neither secret nor share, name it with the reason in this law.%s", s.path, path, whyHash)
			}
		}
	}
	allowed.check(t)
	for _, p := range []string{"crypto/sha256", "crypto/sha3", "crypto/md5", "crypto/hmac", "hash/maphash", "golang.org/x/crypto/blake2b", "github.com/cespare/xxhash/v2", "github.com/zeebo/blake3"} {
		if !hashes(p) {
			t.Errorf("the law does not see %s", p)
		}
	}
}

// hashes reports whether a package offers hash functions.
func hashes(path string) bool {
	if under(path, module) {
		return false
	}
	for _, word := range []string{"crypto/sha", "/sha3", "/md5", "/hmac", "/hkdf", "/pbkdf2", "blake", "hash/", "xxhash", "murmur", "siphash", "highway"} {
		if strings.Contains("/"+path, word) {
			return true
		}
	}
	return false
}
