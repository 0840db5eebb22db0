package events

import "github.com/quantum-secure-cloud/qsc/quantum/distill"

// Collector gathers bits one by one.
type Collector struct{ b distill.Bits }

// Add appends v's lowest bit. What is moved to make room is erased where it was.
func (c *Collector) Add(v uint64) {
	if c.b.N&63 == 0 {
		if n := len(c.b.W); n == cap(c.b.W) {
			old := c.b.W
			c.b.W = append(make([]uint64, 0, max(2*n, 64)), old...)
			clear(old)
		}
		c.b.W = append(c.b.W, 0)
	}
	c.b.W[c.b.N>>6] |= (v & 1) << (c.b.N & 63)
	c.b.N++
}

// Len returns how many there are.
func (c *Collector) Len() int { return c.b.N }

// Bits returns them, without a copy.
func (c *Collector) Bits() distill.Bits { return c.b }

// Zeroise erases them.
func (c *Collector) Zeroise() { c.b.Zeroise() }
