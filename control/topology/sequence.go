package topology

// sequence draws numbers that follow from a seed (SplitMix64). They place nodes
// and applications; nothing secret comes from them.
type sequence uint64

func (s *sequence) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n-1. The bias, n in 2^64, does not matter
// here.
func (s *sequence) below(n int) int { return int(s.next() % uint64(n)) }

// spread returns a number from -most to most.
func (s *sequence) spread(most float64) float64 {
	return most * (2*float64(s.next()>>11)/(1<<53) - 1)
}
