package chunk

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

type seeded struct{ r *rand.ChaCha8 }

func (s seeded) Fill(p []byte) error { _, err := s.r.Read(p); return err }
func (s seeded) Class() qsc.Class    { return qsc.Simulated }

func source() seeded { return seeded{rand.NewChaCha8([32]byte{3})} }

func record(k, n int) cloud.Record {
	r := cloud.Record{
		Ref: cloud.Ref{Owner: "home", Object: qsc.ObjectID{9}, Version: 4}, Name: "a name", State: cloud.Stored,
		Size: 3*4096 + 5, Chunk: 4096, K: k, N: n, W: n, Class: qsc.OSRandom, Policy: "default", Created: time.Unix(7, 8000).UTC(),
	}
	for i := range n {
		key := make([]byte, cloud.HashKeySize)
		_ = source().Fill(key) // never fails
		key[0] = byte(i)
		r.Placements = append(r.Placements, cloud.Placement{Site: qsc.SiteID(rune('a' + i)), Point: byte(i + 1), HashKey: qsc.NewSecret(key)})
	}
	return r
}

// sealed is one chunk's pieces and masks.
func sealed(t *testing.T, r *cloud.Record, index uint32, secret []byte) (pieces [][]byte, masks []byte) {
	t.Helper()
	s, err := NewSealer(r, source())
	if err != nil {
		t.Fatal(err)
	}
	for range r.N {
		pieces = append(pieces, make([]byte, s.PieceSize(len(secret))))
	}
	masks = make([]byte, 16*r.N)
	if err := s.Seal(index, secret, pieces, masks); err != nil {
		t.Fatal(err)
	}
	return pieces, masks
}

func TestChunkRoundTrip(t *testing.T) {
	r := record(3, 5)
	secret := bytes.Repeat([]byte("secret!!"), 512)
	pieces, masks := sealed(t, &r, 1, secret)
	o := NewOpener(&r)
	for i, p := range pieces {
		if err := o.Check(1, byte(i+1), p, masks); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(p, secret[:8]) {
			t.Fatal("a piece holds the secret in clear")
		}
	}
	set := [][]byte{pieces[4], pieces[0], pieces[2]}
	back := make([]byte, len(secret))
	if err := o.Secret(back, set); err != nil || !bytes.Equal(back, secret) {
		t.Fatal("three of five do not give the chunk back", err)
	}
	if m, err := o.Masks(set); err != nil || !bytes.Equal(m, masks) {
		t.Fatal("three of five do not give the masks back", err)
	}
	lost, err := o.Lost(2, set, masks)
	if err != nil || !bytes.Equal(lost, pieces[1]) {
		t.Fatal("the lost piece was not made anew bit for bit", err)
	}
}

func TestCheckRefusesAnotherPiece(t *testing.T) {
	r := record(2, 3)
	pieces, masks := sealed(t, &r, 1, make([]byte, 4096))
	o := NewOpener(&r)
	for name, err := range map[string]error{
		"another chunk": o.Check(2, 1, pieces[0], masks),
		"another point": o.Check(1, 2, pieces[0], masks),
		"another mask":  o.Check(1, 1, pieces[0], append(masks[16:], masks[:16]...)),
	} {
		if !qsc.IsKind(err, qsc.Tampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := o.Check(1, 1, pieces[0][:100], masks); !qsc.IsKind(err, qsc.Corrupt) {
		t.Error("cut short:", err)
	}
	mixed := record(2, 3)
	mixed.Ref.Version++
	others, _ := sealed(t, &mixed, 1, make([]byte, 4096))
	if err := o.Secret(make([]byte, 4096), [][]byte{pieces[0], others[1]}); !qsc.IsKind(err, qsc.Invalid) {
		t.Error("mixed versions:", err)
	}
}

func TestMetaRoundTrip(t *testing.T) {
	r := record(2, 3)
	s, err := NewSealer(&r, source())
	if err != nil {
		t.Fatal(err)
	}
	metas, err := s.SealMeta(&r, make([]byte, 16*r.N))
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenMeta("home", [][]byte{metas[2], metas[0]})
	if err != nil || !reflect.DeepEqual(got.Placements[1].HashKey.Expose(), r.Placements[1].HashKey.Expose()) {
		t.Fatal("the record came back changed", err)
	}
	for i := range got.Placements {
		got.Placements[i].HashKey, r.Placements[i].HashKey = qsc.Secret{}, qsc.Secret{}
	}
	if !reflect.DeepEqual(got, r) {
		t.Fatalf("got %+v, want %+v", got, r)
	}
	for i := range metas[0] {
		bad := bytes.Clone(metas[0])
		bad[i] ^= 1
		// The header says whose the piece is, the tag and the mask shares are for
		// who has the hash keys: what is left is covered by the AMD code.
		if i >= 64 && i < len(bad)-16-16*r.N {
			if _, err := OpenMeta("home", [][]byte{bad, metas[1]}); !qsc.IsKind(err, qsc.Tampered) {
				t.Fatalf("byte %d changed: %v", i, err)
			}
		}
	}
	if _, err := OpenMeta("home", metas[:1]); !qsc.IsKind(err, qsc.Insufficient) {
		t.Error("one piece of two:", err)
	}
}

func FuzzDecodeMeta(f *testing.F) {
	r := record(2, 3)
	f.Add(encodeMeta(&r), 3)
	f.Add([]byte{1, 0, 0}, 255)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		r := cloud.Record{N: min(max(n, 0), 255)}
		if decodeMeta(&r, b) != nil {
			return
		}
		if r.Size < 0 || r.Chunk < cloud.MinChunk || len(r.Placements) != r.N {
			t.Fatalf("accepted %+v", r)
		}
	})
}
