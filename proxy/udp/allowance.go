package udp

import "sync/atomic"

// allowance is how much of something one loop may hold: a part that is its own, so that no
// other loop's flood takes it all, and beyond that what is left of what all have in common,
// for the clients of one loop may be most of all there are.
type allowance struct {
	own    int
	held   int
	common *atomic.Int64 // left of it
}

// reserve is the part that is shared out beforehand: one in eight.
const reserve = 8

// shareOut makes the allowances of all loops, which together hold most.
func shareOut(most, loops int) []*allowance {
	own, common := most/reserve/loops, new(atomic.Int64)
	common.Store(int64(most - own*loops))
	all := make([]*allowance, loops)
	for i := range all {
		all[i] = &allowance{own: own, common: common}
	}
	return all
}

// take takes one, if one is left.
func (a *allowance) take() bool {
	if a.held >= a.own && a.common.Add(-1) < 0 {
		a.common.Add(1)
		return false
	}
	a.held++
	return true
}

// insist takes one in any case.
func (a *allowance) insist() {
	if a.held >= a.own {
		a.common.Add(-1)
	}
	a.held++
}

// give gives one back.
func (a *allowance) give() {
	a.held--
	if a.held >= a.own {
		a.common.Add(1)
	}
}
