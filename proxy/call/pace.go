package call

import (
	"runtime"
	"time"
)

// Pace makes a loop yield to Go's scheduler before the runtime forces it to. A goroutine that has not
// yielded for 10 ms gets a signal, and if it is in epoll_wait by then, its processor is taken away at
// once; after the runtime's monitor has taken one, it looks for more every 20 µs.
type Pace struct{ last time.Duration }

const every = 5 * time.Millisecond

// Yield is called once in a turn of the loop.
func (p *Pace) Yield(now time.Duration) {
	if now-p.last >= every {
		p.last = now
		runtime.Gosched()
	}
}
