package tcp

import "testing"

// often is how many steps a random test takes: a tenth with -short, which is for emulated
// machines.
func often(steps int) int {
	if testing.Short() {
		return steps / 10
	}
	return steps
}
