//go:build !amd64 || purego

package uhash

func available() []kernel { return []kernel{plain} }

func mul(a, b elem) elem { return mulPlain(a, b) }

// expand prepares k for messages of n bytes and returns the number of powers
// made; Horner's rule needs only the first.
func expand(*Key, int) int { return 1 }

// blocks takes the blocks of p, a multiple of 16 bytes, into h.
func blocks(k *Key, h *elem, p []byte) { blocksPlain(k, h, p) }
