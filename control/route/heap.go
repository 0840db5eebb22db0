package route

// item is a node of a search at its distance.
type item struct {
	key int64
	at  int32
}

// heap is a 4-ary heap of items, smallest key first.
type heap []item

func (h *heap) push(x item) {
	q := append(*h, x)
	i := len(q) - 1
	for i > 0 {
		up := (i - 1) / 4
		if x.key >= q[up].key {
			break
		}
		q[i] = q[up]
		i = up
	}
	q[i] = x
	*h = q
}

func (h *heap) pop() item {
	q := *h
	top, last := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	*h = q
	if len(q) == 0 {
		return top
	}
	i := 0
	for {
		child := 4*i + 1
		if child >= len(q) {
			break
		}
		best := child
		for c := child + 1; c < min(child+4, len(q)); c++ {
			if q[c].key < q[best].key {
				best = c
			}
		}
		if q[best].key >= last.key {
			break
		}
		q[i] = q[best]
		i = best
	}
	q[i] = last
	return top
}
