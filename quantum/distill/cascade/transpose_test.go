package cascade

import (
	"math/rand/v2"
	"testing"
)

// By definition: bit i of word j is bit j of word i.
func TestTransposeByDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var m [64]uint64
		for i := range m {
			m[i] = r.Uint64()
		}
		fast, plain := m, m
		transpose(&fast)
		transposePlain(&plain)
		for i := range m {
			for j := range m {
				if fast[j]>>i&1 != m[i]>>j&1 {
					t.Fatalf("bit %d of word %d", i, j)
				}
			}
		}
		if plain != fast {
			t.Fatal("the plain way gives other words")
		}
	}
}

func BenchmarkTranspose(b *testing.B) {
	var m [64]uint64
	for i := range m {
		m[i] = uint64(i) * 0x9e3779b97f4a7c15
	}
	b.Run("fast", func(b *testing.B) {
		b.SetBytes(512)
		for b.Loop() {
			transpose(&m)
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(512)
		for b.Loop() {
			transposePlain(&m)
		}
	})
}
