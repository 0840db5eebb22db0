package share_test

import (
	"fmt"

	"github.com/quantum-secure-cloud/qsc/its/share"
)

func Example() {
	points := share.Points(3)
	splitter, err := share.NewSplitter(2, points)
	if err != nil {
		fmt.Println(err)
		return
	}
	secret := []byte("meet at noon")
	coeff := []byte("12 uniform b") // from a Source, used once
	shares := [][]byte{make([]byte, 12), make([]byte, 12), make([]byte, 12)}
	if err := splitter.Split(secret, coeff, shares); err != nil {
		fmt.Println(err)
		return
	}
	// The first site is gone; the other two are enough.
	combiner, err := share.NewCombiner(points[1:], 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	back := make([]byte, 12)
	if err := combiner.Combine(back, shares[1:]); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", back)
	// Output: meet at noon
}
