package call

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Pace makes a loop yield to Go's scheduler before the runtime forces it to. A goroutine that has not
// yielded for 10 ms gets a signal, and if it is in epoll_wait by then, its processor is taken away at
// once; after the runtime's monitor has taken one, it looks for more every 20 µs.
//
// It also measures how long the loop works, by some of its turns: a look at the clock after each would be
// too many. So a loop that rarely turns has each turn measured.
type Pace struct {
	last     time.Duration
	turns    int           // since one was measured
	measured time.Duration // when that one began,
	ended    time.Duration // and when it ended
	owed     time.Duration // measured, and not in busy yet: busy is never ahead of the clock
	busy     atomic.Int64  // ns; anyone may read it
}

const (
	every     = 5 * time.Millisecond
	mostTurns = 16 // that one measured turn stands for
)

// Yield is called at the end of each turn of the loop, with its begin, and the clock that has told that.
func (p *Pace) Yield(began time.Duration, clock func() time.Duration) {
	if p.turns++; p.turns >= mostTurns || began-p.measured >= every {
		ended := clock()
		p.owed += time.Duration(p.turns) * (ended - began)
		took := min(p.owed, ended-p.ended) // a long turn stands for more than the time that has passed
		p.owed -= took
		p.busy.Add(int64(took))
		p.turns, p.measured, p.ended = 0, began, ended
	}
	if began-p.last >= every {
		p.last = began
		runtime.Gosched()
	}
}

// Busy is how long the turns have taken so far, all together.
func (p *Pace) Busy() time.Duration { return time.Duration(p.busy.Load()) }
