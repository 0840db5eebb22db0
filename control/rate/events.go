package rate

// event is what happens when the water reaches a level.
type event struct {
	level float64
	what  what
	who   int32 // a flow or, for dry, a link
}

type what uint8

// At one level flows join before any stop, and stop by themselves before a link
// stops them.
const (
	joins what = iota // a flow begins to rise
	full              // a flow has its cap
	dry               // a link is used up, as far as was foreseen
)

func (a event) before(b event) bool {
	if a.level != b.level {
		return a.level < b.level
	}
	if a.what != b.what {
		return a.what < b.what
	}
	return a.who < b.who
}

// events is a binary heap, lowest level first.
type events []event

func (h *events) push(e event) {
	q := append(*h, e)
	i := len(q) - 1
	for i > 0 && e.before(q[(i-1)/2]) {
		q[i] = q[(i-1)/2]
		i = (i - 1) / 2
	}
	q[i] = e
	*h = q
}

func (h *events) pop() event {
	q := *h
	top, last := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	*h = q
	if len(q) == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1].before(q[child]) {
			child++
		}
		if !q[child].before(last) {
			break
		}
		q[i] = q[child]
		i = child
	}
	q[i] = last
	return top
}
