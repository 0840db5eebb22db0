package gf

// native returns the kernels beyond plain Go: none here.
func native() []*kernel { return nil }
