package route

// plant grows the tree of cheapest paths from a source until it holds all the
// destinations. What lies farther counts as being as far as the last of them,
// which keeps every reduced price from being negative.
func (w *search) plant(from int32, destinations ...int32) {
	w.from = from
	for v := range w.tree {
		w.tree[v] = unreached
	}
	left := 0
	for _, v := range destinations {
		if !w.wanted[v] {
			w.wanted[v] = true
			left++
		}
	}
	w.tree[from] = 0
	w.heap = append(w.heap[:0], item{0, from})
	last := int64(0)
	for len(w.heap) > 0 && left > 0 {
		x := w.heap.pop()
		if x.key > w.tree[x.at] {
			continue
		}
		last = x.key
		if w.wanted[x.at] {
			w.wanted[x.at] = false
			left--
		}
		w.grow(x)
	}
	for _, v := range destinations {
		w.wanted[v] = false
	}
	if left == 0 {
		w.clamp(last)
	}
}

// grow reaches out from a node of the tree.
func (w *search) grow(x item) {
	for _, e := range w.g.of(x.at) {
		c := w.g.cost[e.arc]
		if c == unusable {
			continue
		}
		if d := x.key + int64(c); d < w.tree[e.other] {
			w.tree[e.other] = d
			w.heap.push(item{d, e.other})
		}
	}
}

func (w *search) clamp(most int64) {
	for v, d := range w.tree {
		w.tree[v] = min(d, most)
	}
}
