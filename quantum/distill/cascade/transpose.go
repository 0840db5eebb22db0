package cascade

// gather fills m with the words at 64 places of an order, zeros behind its end;
// nil is the words' own order.
func gather(m *[64]uint64, words []uint64, order []uint16, at int) {
	if order == nil {
		clear(m[copy(m[:], words[at:]):])
		return
	}
	part := order[at:min(at+64, len(order))]
	for i, x := range part {
		m[i&63] = words[x]
	}
	clear(m[len(part):])
}

// transposePlain exchanges the two off-diagonal quarters of ever smaller squares.
func transposePlain(m *[64]uint64) {
	swap(m, 32, 0x00000000ffffffff)
	swap(m, 16, 0x0000ffff0000ffff)
	swap(m, 8, 0x00ff00ff00ff00ff)
	swap(m, 4, 0x0f0f0f0f0f0f0f0f)
	swap(m, 2, 0x3333333333333333)
	swap(m, 1, 0x5555555555555555)
}

func swap(m *[64]uint64, by uint, mask uint64) {
	for top := uint(0); top < 64; top += 2 * by {
		for i := top; i < top+by; i++ {
			a, b := m[i&63], m[(i+by)&63]
			x := (a>>(by&63) ^ b) & mask
			m[i&63], m[(i+by)&63] = a^x<<(by&63), b^x
		}
	}
}
