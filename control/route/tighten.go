package route

// tighten lowers the potentials of the source and of its neighbours' inner sides
// by what every way out of them costs. Where all links of the source are taken,
// so that the next path must share one, the search then knows it from the
// beginning, instead of looking everywhere else first.
func (w *search) tighten() {
	source := 2*w.from + 1
	base := w.tree[w.from] + w.halves[source].shift
	least := int64(unreached)
	for _, e := range w.g.of(w.from) {
		if enter, ok := w.enter(e, base); ok {
			least = min(least, enter+w.leave(e.other))
		}
	}
	if least == 0 || least == unreached {
		return
	}
	for _, e := range w.g.of(w.from) {
		if enter, ok := w.enter(e, base); ok && enter < least {
			w.move(2*e.other, enter-least)
		}
	}
	w.move(source, -least)
}

// enter is the reduced price of an arc from the source, if a unit fits.
func (w *search) enter(e edge, base int64) (int64, bool) {
	c := int64(w.g.cost[e.arc])
	if c == unusable || w.flow[e.arc] > 0 && e.other == w.to {
		return 0, false
	}
	if w.flow[e.arc] > 0 {
		c += sharedLink
	}
	return c + base - w.tree[e.other] - w.halves[2*e.other].shift, true
}

// leave is the least reduced price of what leads from v in to anywhere but the
// source.
func (w *search) leave(v int32) int64 {
	if v == w.to {
		return 0
	}
	here := w.halves[2*v].shift
	least := nodePrice(w.through[v]) + here - w.halves[2*v+1].shift
	for _, e := range w.g.of(v) {
		n := w.flow[e.arc^1]
		if n == 0 || e.other == w.from {
			continue
		}
		c := int64(w.g.cost[e.arc^1])
		if n > 1 {
			c += sharedLink
		}
		least = min(least, -c+w.tree[v]+here-w.tree[e.other]-w.halves[2*e.other+1].shift)
	}
	return least
}
