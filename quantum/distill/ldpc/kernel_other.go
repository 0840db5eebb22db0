//go:build !amd64 || purego

package ldpc

func takeOff(in, m []float32, bad []uint32) { takeOffPlain(in, m, bad) }
func giveBack(t, p, acc, m []float32)       { giveBackPlain(t, p, acc, m) }
func multiply(dst, a, b []float32)          { multiplyPlain(dst, a, b) }
func addTo(dst, a []float32)                { addToPlain(dst, a) }
