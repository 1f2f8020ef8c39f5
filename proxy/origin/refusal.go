package origin

import (
	"sync"
	"sync/atomic"
	"time"

	"anyport/proxy/health"
)

// maxRefused bounds the ports of one origin that are known to refuse: a scan of closed ports
// must not fill the memory.
const maxRefused = 1024

// whole stands for all ports of an origin.
const whole = 0

// refusals are those of one origin over one protocol, by port. They are read for each datagram, so
// an origin that never refused costs one load.
type refusals struct {
	known atomic.Int32 // ports in byPort
	total atomic.Uint64

	mu     sync.Mutex // held by who writes
	byPort sync.Map   // uint16 → health.Ejection
	swept  time.Time
}

// add notes a refusal, and reports whether the origin, or the port, is left out because of it and
// was not before; needed is how many in a row that takes.
func (rs *refusals) add(port uint16, needed int, now time.Time) (e health.Ejection, first bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	before, known := rs.of(port)
	if !known && !rs.room(now) {
		return health.Ejection{}, false
	}
	e = before.Again(now, needed)
	rs.byPort.Store(port, e)
	if !known {
		rs.known.Add(1)
	}
	return e, before.Over(now) && !e.Over(now)
}

// room reports whether there may be one port more. It looks for those that are over once a
// second at most.
func (rs *refusals) room(now time.Time) bool {
	if rs.known.Load() >= maxRefused && now.Sub(rs.swept) >= time.Second {
		rs.swept = now
		rs.byPort.Range(func(port, r any) bool {
			if r.(health.Ejection).Over(now) {
				rs.drop(port.(uint16))
			}
			return true
		})
	}
	return rs.known.Load() < maxRefused
}

// forget takes back what is known of a port, and returns it.
func (rs *refusals) forget(port uint16) (e health.Ejection, known bool) {
	if e, known = rs.of(port); !known {
		return e, false
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return e, rs.drop(port)
}

func (rs *refusals) drop(port uint16) bool {
	_, known := rs.byPort.LoadAndDelete(port)
	if known {
		rs.known.Add(-1)
	}
	return known
}

func (rs *refusals) of(port uint16) (health.Ejection, bool) {
	if rs.known.Load() == 0 {
		return health.Ejection{}, false
	}
	e, known := rs.byPort.Load(port)
	if !known {
		return health.Ejection{}, false
	}
	return e.(health.Ejection), true
}

// held counts the ports that are left out.
func (rs *refusals) held(now time.Time) (n int) {
	if rs.known.Load() == 0 {
		return 0
	}
	rs.byPort.Range(func(port, r any) bool {
		if port.(uint16) != whole && r.(health.Ejection).Holds(now) {
			n++
		}
		return true
	})
	return n
}
