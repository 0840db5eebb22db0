package supply

import "slices"

// span is the numbers from (included) to to (not included).
type span struct{ from, to uint64 }

// spans is a set of numbers as rising spans that do not touch.
type spans []span

// add puts the numbers of a span in.
func (s *spans) add(from, to uint64) {
	if from >= to {
		return
	}
	list := *s
	i, _ := slices.BinarySearchFunc(list, from, func(x span, v uint64) int {
		if x.to < v {
			return -1
		}
		return 1
	})
	j := i
	for j < len(list) && list[j].from <= to {
		from, to = min(from, list[j].from), max(to, list[j].to)
		j++
	}
	*s = slices.Replace(list, i, j, span{from, to})
}

// find returns the index of the first span that ends above n.
func (s spans) find(n uint64) int {
	i, _ := slices.BinarySearchFunc(s, n, func(x span, v uint64) int {
		if x.to <= v {
			return -1
		}
		return 1
	})
	return i
}

func (s spans) has(n uint64) bool {
	i := s.find(n)
	return i < len(s) && s[i].from <= n
}

// meets reports whether any number of a span is in the set.
func (s spans) meets(from, to uint64) bool {
	i := s.find(from)
	return i < len(s) && s[i].from < to
}

// gaps returns what of a span is not in the set.
func (s spans) gaps(from, to uint64) (list []span) {
	for i := s.find(from); i < len(s) && s[i].from < to; i++ {
		if from < s[i].from {
			list = append(list, span{from, s[i].from})
		}
		from = s[i].to
	}
	if from < to {
		list = append(list, span{from, to})
	}
	return list
}
