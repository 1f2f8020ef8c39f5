package origin

import (
	"sync"
	"sync/atomic"
	"time"
)

// How long an origin that refuses is left out: the time doubles while it goes on refusing.
const (
	firstWait   = time.Second
	longestWait = 30 * time.Second
)

// refusal is the last refusal of an origin, for one port or all. The zero value is none.
type refusal struct {
	since, until time.Time     // the first one in a row; until when the origin is left out
	wait         time.Duration // until, from the last one on
}

// again returns r after one more refusal.
func (r refusal) again(now time.Time) refusal {
	switch {
	case r.over(now):
		return refusal{now, now.Add(firstWait), firstWait}
	case r.holds(now): // to a datagram from before r, or because all origins refuse
		return r
	}
	wait := min(2*r.wait, longestWait)
	return refusal{r.since, now.Add(wait), wait}
}

// holds reports whether the origin is left out.
func (r refusal) holds(now time.Time) bool { return now.Before(r.until) }

// over reports whether r is forgotten: the origin could be tried for longestWait and has not refused
// again.
func (r refusal) over(now time.Time) bool {
	return r.wait == 0 || !now.Before(r.until.Add(longestWait))
}

// lasts reports whether the origin refused again when it was tried again.
func (r refusal) lasts() bool { return r.wait > firstWait }

// maxRefused bounds the ports of one origin that are remembered: a scan of closed ports must not fill
// the memory.
const maxRefused = 1024

// whole stands for all ports of an origin.
const whole = 0

// refusals are the refusals of one origin, by port. They are read for each datagram, so an origin that
// never refused costs one atomic load. All UDP loops share them.
type refusals struct {
	known atomic.Int32 // ports in byPort
	total atomic.Uint64

	mu     sync.Mutex // held for writing
	byPort sync.Map   // uint16 → refusal
	swept  time.Time  // when room last looked for refusals that are over
}

// add notes a refusal, and reports whether it is the first.
func (rs *refusals) add(port uint16, now time.Time) (r refusal, first bool) {
	rs.total.Add(1)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	before, known := rs.of(port)
	if !known && !rs.room(now) {
		return refusal{}, false
	}
	r = before.again(now)
	rs.byPort.Store(port, r)
	if !known {
		rs.known.Add(1)
	}
	return r, before.over(now)
}

// room reports whether one more port can be remembered. It drops those that are over, at most once a
// second.
func (rs *refusals) room(now time.Time) bool {
	if rs.known.Load() >= maxRefused && now.Sub(rs.swept) >= time.Second {
		rs.swept = now
		rs.byPort.Range(func(port, r any) bool {
			if r.(refusal).over(now) {
				rs.drop(port.(uint16))
			}
			return true
		})
	}
	return rs.known.Load() < maxRefused
}

// forget drops the refusal of a port, and reports whether there was one.
func (rs *refusals) forget(port uint16) bool {
	if _, known := rs.of(port); !known {
		return false
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.drop(port)
}

func (rs *refusals) drop(port uint16) bool {
	_, known := rs.byPort.LoadAndDelete(port)
	if known {
		rs.known.Add(-1)
	}
	return known
}

func (rs *refusals) of(port uint16) (refusal, bool) {
	if rs.known.Load() == 0 {
		return refusal{}, false
	}
	r, known := rs.byPort.Load(port)
	if !known {
		return refusal{}, false
	}
	return r.(refusal), true
}

// held counts the ports that are left out.
func (rs *refusals) held(now time.Time) (n int) {
	if rs.known.Load() == 0 {
		return 0
	}
	rs.byPort.Range(func(port, r any) bool {
		if port.(uint16) != whole && r.(refusal).holds(now) {
			n++
		}
		return true
	})
	return n
}
