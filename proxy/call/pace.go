package call

import (
	"runtime"
	"time"
)

// Pace has a loop go through Go's scheduler in time. A goroutine that has not for 10 ms
// gets a signal, and if it is in epoll_wait by then, its processor is taken away at once;
// and whenever the runtime's monitor has taken one, it looks every 20 µs for more.
type Pace struct{ last time.Duration }

const every = 5 * time.Millisecond

// Yield is for once a turn.
func (p *Pace) Yield(now time.Duration) {
	if now-p.last >= every {
		p.last = now
		runtime.Gosched()
	}
}
