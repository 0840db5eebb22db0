package topology

import "github.com/pelletier/go-toml/v2/unstable"

func (c record) linkKind() (string, bool) {
	f, ok := c.want("kind", unstable.String, true)
	if !ok {
		return "", false
	}
	if _, known := kindOf(f.val.text); !known {
		c.r.addf(f.val.at, "link: kind %s is not one of %s", quote(f.val.text), kindNames())
		return "", false
	}
	return f.val.text, true
}

// checkRate holds the rate against the kind: couriered key has none, a
// simulated pair cannot do without, and a physical link's follows from its
// physics when it is left out.
func (c record) checkRate(l Link, rated bool) {
	switch {
	case l.Kind == KindPreshared && l.Rate != 0:
		c.r.addf(c.place("rate"), "link: a preshared link makes no key; leave rate out")
	case l.Kind == KindSimulated && !c.has("rate"):
		c.r.addf(c.at, "link: missing key \"rate\": a simulated link needs one, such as \"1 Mbit/s\"")
	case l.Kind == KindSimulated && rated && l.Rate == 0:
		c.r.addf(c.place("rate"), "link: rate must be above 0 for a simulated link")
	}
}

// ring reads the block size and the pad that is a whole number of blocks.
func (c record) ring() (block, pad int64) {
	block, okBlock := c.size("block", DefaultBlock, BlockMin, BlockMax)
	if okBlock && block&(block-1) != 0 {
		c.r.addf(c.place("block"), "link: block = %s is not a power of two", FormatSize(block))
		okBlock = false
	}
	pad, okPad := c.size("pad", DefaultPad, BlockMin, PadMax)
	if okBlock && okPad && pad%block != 0 {
		c.r.addf(c.place("pad"), "link: pad = %s is not a multiple of the block size %s", FormatSize(pad), FormatSize(block))
	}
	return block, pad
}
