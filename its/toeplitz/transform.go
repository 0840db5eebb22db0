package toeplitz

// The transform. Forward (down, not swapped) takes a polynomial in Cantor's
// basis to its values at the first points of the span of v_0, v_1, …; a butterfly
// is u += t·w, w += u. The other three are made of the same steps:
//
//	inverse of the transpose  down, swapped  w += t·u, u += w
//	transpose                 up             u += w,   w += t·u
//	inverse                   up, swapped    w += u,   u += t·w

type direction struct {
	up   bool
	swap int
}

var (
	forward          = direction{false, 0}
	inverseTranspose = direction{false, 1}
	transpose        = direction{true, 0}
	inverse          = direction{true, 1}
)

// cached is how many rows are small enough to be taken through all layers in the
// first cache.
const cached = 32 << 10 / 64

func (p *plan) transform(k kernel, rows []row, d direction) {
	up := 0
	if d.up {
		up = 1
		p.walk(k, rows, d, 0, 0, 1)
	}
	k.lanes(rows, p.lanes[up][d.swap])
	if !d.up {
		p.walk(k, rows, d, 0, 0, 1)
	}
}

// walk takes blocks b to b+n-1 of a step through it and all later ones, part by
// part, so that the caches serve most of them.
func (p *plan) walk(k kernel, rows []row, d direction, i, b, n int) {
	if i == len(p.steps) {
		return
	}
	if !d.up {
		p.pass(k, rows, d, &p.steps[i], b, n)
	}
	b, n = b<<p.steps[i].layers, n<<p.steps[i].layers
	if n*p.blockRows(i+1) <= cached {
		p.walk(k, rows, d, i+1, b, n)
	} else {
		for j := range n {
			p.walk(k, rows, d, i+1, b+j, 1)
		}
	}
	if d.up {
		p.pass(k, rows, d, &p.steps[i], b>>p.steps[i].layers, n>>p.steps[i].layers)
	}
}

// blockRows is the number of rows in a block of step i.
func (p *plan) blockRows(i int) int {
	if i == len(p.steps) {
		return 1
	}
	return 1 << (p.log - p.steps[i].depth)
}

func (p *plan) pass(k kernel, rows []row, d direction, s *step, b, n int) {
	size := 1 << (p.log - s.depth)
	q := size >> s.layers
	at, stride := b*size, q
	if d.swap == 1 {
		at, stride = at+size-q, -q
	}
	c := s.constants[d.swap]
	if s.layers == 1 {
		k.pass2(rows, at, stride, q, c, d.up)
		return
	}
	k.pass4(rows, at, stride, q, n, s.kind, p.twids[b:], p.twids[2*b:], c, d.up)
}
