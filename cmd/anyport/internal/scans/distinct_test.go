package scans

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDistinct compares with a set: few values exactly, many within four standard errors.
func TestDistinct(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, want := range []int{0, 1, 2, 31, 32, 33, 50, 100, 300, 600, 640, 1000, 5000, 65535} {
		for _, inOrder := range []bool{true, false} {
			var d Distinct
			set := map[uint64]bool{}
			for len(set) < want {
				v := uint64(len(set) + 1)
				if !inOrder {
					v = random.Uint64()
				}
				set[v] = true
				d.Add(v)
				if random.IntN(2) == 0 {
					d.Add(v) // again changes nothing
				}
			}
			got, exact := d.Count()
			if exact != (want <= mostListed) || exact && got != want || math.Abs(float64(got-want)) > 0.26*float64(want) {
				t.Errorf("%d values, in order %t: counted %d, exact %t", want, inOrder, got, exact)
			}
			listed := d.Listed()
			if exact && (len(listed) != want || !slices.IsSorted(listed)) || !exact && listed != nil {
				t.Errorf("%d values: listed are %v", want, listed)
			}
			for _, v := range listed {
				if !set[v] {
					t.Errorf("%d is listed, and was never added", v)
				}
			}
		}
	}
}
