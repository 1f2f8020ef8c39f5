package udp

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// TestAllowance takes and gives at random, beside a count of all that is held.
func TestAllowance(t *testing.T) {
	for _, c := range []struct{ most, loops int }{{100, 1}, {100, 2}, {100, 7}, {3, 2}, {1, 4}} {
		all, own := shareOut(c.most, c.loops), c.most/reserve/c.loops
		held := make([]int, c.loops)
		for range 10_000 {
			i, reserved := rand.IntN(c.loops), 0
			for j, n := range held {
				if j != i {
					reserved += max(n, own)
				}
			}
			switch {
			case held[i] > 0 && rand.IntN(5) < 2:
				all[i].give()
				held[i]--
			default:
				took, want := all[i].take(), held[i] < own || reserved+held[i] < c.most
				if took != want {
					t.Fatalf("%d for %d loops, held %v: loop %d may take one: %v, want %v", c.most, c.loops, held, i, took, want)
				}
				if took {
					held[i]++
				}
			}
		}
	}
}

// TestAllowanceInsists: what came from another process has its place, above the bound, too.
func TestAllowanceInsists(t *testing.T) {
	all := shareOut(2, 2)
	for range 3 {
		all[0].insist()
	}
	if all[0].take() || all[1].take() {
		t.Error("there is room above the bound")
	}
	all[0].give()
	all[0].give()
	if !all[1].take() || all[0].take() {
		t.Error("what was given back is not what there is")
	}
}

// TestAllowanceOfManyLoops has loops take all at once: never more than there is.
func TestAllowanceOfManyLoops(t *testing.T) {
	const most, loops = 1000, 4
	all := shareOut(most, loops)
	var group sync.WaitGroup
	for _, a := range all {
		group.Go(func() {
			for range most {
				a.take()
			}
		})
	}
	group.Wait()
	held := 0
	for _, a := range all {
		held += a.held
	}
	if held != most {
		t.Errorf("%d are held, want %d", held, most)
	}
}
