//go:build !amd64 || purego

package cascade

func transpose(m *[64]uint64) { transposePlain(m) }
