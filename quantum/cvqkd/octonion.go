package cvqkd

import "math"

// octonion is a vector of eight dimensions with the product of Cayley and
// Dickson. Multiplying by one of length 1 is a rotation, which is what
// eight-dimensional reconciliation lives on (Leverrier et al., PRA 77 042325).
type octonion [8]float32

type quaternion [4]float32

func (a quaternion) times(b quaternion) quaternion {
	return quaternion{
		a[0]*b[0] - a[1]*b[1] - a[2]*b[2] - a[3]*b[3],
		a[0]*b[1] + a[1]*b[0] + a[2]*b[3] - a[3]*b[2],
		a[0]*b[2] - a[1]*b[3] + a[2]*b[0] + a[3]*b[1],
		a[0]*b[3] + a[1]*b[2] - a[2]*b[1] + a[3]*b[0],
	}
}

func (a quaternion) conjugate() quaternion { return quaternion{a[0], -a[1], -a[2], -a[3]} }

// times is the product (a,b)(c,d) = (ac - d*b, da + bc*).
func (o octonion) times(p octonion) octonion {
	a, b := quaternion(o[:4]), quaternion(o[4:])
	c, d := quaternion(p[:4]), quaternion(p[4:])
	ac, db := a.times(c), d.conjugate().times(b)
	da, bc := d.times(a), b.times(c.conjugate())
	var out octonion
	for i := range 4 {
		out[i], out[4+i] = ac[i]-db[i], da[i]+bc[i]
	}
	return out
}

func (o octonion) conjugate() octonion {
	for i := 1; i < 8; i++ {
		o[i] = -o[i]
	}
	return o
}

func (o octonion) norm() float64 {
	sum := 0.0
	for _, v := range o {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

func (o octonion) scaled(f float32) octonion {
	for i := range o {
		o[i] *= f
	}
	return o
}

// corner is the corner of the cube that eight bits name, at distance 1: bit 0
// is +1/√8.
func corner(bits uint64) (o octonion) {
	const side = 0.35355339059327373 // 1/√8
	for i := range o {
		o[i] = side
		if bits>>i&1 == 1 {
			o[i] = -side
		}
	}
	return o
}

// rotation returns the α of length 1 with α·y = |y|·u for a u of length 1, and
// |y|: α = u·y*/|y|, for octonions are alternative. Told to everybody, it says
// nothing of u: any u has its α. For y = 0 it is u.
func rotation(u, y octonion) (alpha octonion, length float64) {
	length = y.norm()
	if length == 0 {
		return u, 0
	}
	return u.times(y.conjugate().scaled(float32(1 / length))), length
}
