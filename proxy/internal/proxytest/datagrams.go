package proxytest

import "math/rand/v2"

// Random are datagrams of given sizes, each of other bytes.
func Random(sizes ...int) (all [][]byte) {
	for _, size := range sizes {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(rand.IntN(256))
		}
		all = append(all, b)
	}
	return all
}

// Repeated are n equal sizes.
func Repeated(size, n int) (sizes []int) {
	for range n {
		sizes = append(sizes, size)
	}
	return sizes
}
