package toeplitz

// The transform. Forward (down, not swapped) takes a polynomial in Cantor's
// basis to its values at the first points of the span of v_0, v_1, …; a butterfly
// is u += t·w, w += u. The other three are made of the same steps:
//
//	inverse of the transpose  down, swapped  w += t·u, u += w
//	transpose                 up             u += w,   w += t·u
//	inverse                   up, swapped    w += u,   u += t·w
//
// Depths 0 and 1 lie within rows and are done by encode and decode.
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

// cached is how many rows are taken through all layers in the first cache.
const cached = 32 << 10 / 64

// tour takes rows down through the layers, does something with the values, and
// takes them up again, part by part, so that the caches serve most of it.
type tour struct {
	*plan
	k        kernel
	rows     []row
	down, up *direction         // nil: not this way
	values   func(from, to int) // of rows; may be nil
}

// run takes all rows along.
func (t *tour) run() { t.visit(0, 0, 1) }

// visit takes blocks b to b+n-1 of step i and all that is below them.
func (t *tour) visit(i, b, n int) {
	size := t.blockRows(i)
	if n*size <= cached {
		t.visitSmall(i, b, n)
		return
	}
	layers := t.steps[i].layers
	t.pass(t.down, i, b, n)
	for j := range n << layers {
		t.visit(i+1, b<<layers+j, 1)
	}
	t.pass(t.up, i, b, n)
}

// visitSmall does the same layer by layer.
func (t *tour) visitSmall(i, b, n int) {
	from, to := b*t.blockRows(i), (b+n)*t.blockRows(i)
	for j := i; j < len(t.steps); j++ {
		t.pass(t.down, j, from/t.blockRows(j), (to-from)/t.blockRows(j))
	}
	if t.values != nil {
		t.values(from, to)
	}
	for j := len(t.steps) - 1; j >= i; j-- {
		t.pass(t.up, j, from/t.blockRows(j), (to-from)/t.blockRows(j))
	}
}

// blockRows is the number of rows in a block of step i.
func (p *plan) blockRows(i int) int {
	if i == len(p.steps) {
		return 1
	}
	return 1 << (p.log - p.steps[i].depth)
}

// pass does step i on n blocks from b on.
func (t *tour) pass(d *direction, i, b, n int) {
	if d == nil {
		return
	}
	s, size := &t.steps[i], t.blockRows(i)
	q := size >> s.layers
	at, stride := b*size, q
	if d.swap == 1 {
		at, stride = at+size-q, -q
	}
	c := s.constants[d.swap]
	if s.layers == 1 {
		t.k.pass2(t.rows, at, stride, q, c, d.up)
		return
	}
	t.k.pass4(t.rows, at, stride, q, n, s.kind, t.twids[b:], t.twids[2*b:], c, d.up)
}

// evaluate makes rows of chunks in Cantor's basis, and of them values, by their
// coefficients.
func (p *plan) evaluate(k kernel, rows []row, chunks []uint64, d direction) {
	k.encode(rows, chunks, p.lanes[0][d.swap])
	t := tour{plan: p, k: k, rows: rows, down: &d}
	t.values = func(from, to int) { k.toPoly(rows[from:to]) }
	t.run()
}

// multiply evaluates chunks, multiplies the values by those in by, and
// interpolates as d says.
func (p *plan) multiply(k kernel, b *scratch, by []row, d direction) {
	f := forward
	k.encode(b.rows, b.lo, p.lanes[0][f.swap])
	t := tour{plan: p, k: k, rows: b.rows, down: &f, up: &d}
	t.values = func(from, to int) { k.multiply(b.rows[from:to], by[from:to]) }
	t.run()
	k.decode(b.lo, b.hi, b.rows, p.lanes[1][d.swap])
}
