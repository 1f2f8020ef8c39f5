package tcp

import (
	"time"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/tcp/buffers"
	"anyport/proxy/tcp/wheel"
)

// What a conn does next is decided here, from its state alone.

// answer is what has become of the dial under way.
type answer uint8

const (
	awaited answer = iota
	accepted
	rejected
	abandoned // the client has gone; one that sent FIN has not
)

func (c *conn) answer() answer {
	switch {
	case c.ends[clientEnd].failed:
		return abandoned
	case c.ends[originEnd].failed:
		return rejected
	case c.ends[originEnd].writable:
		return accepted
	}
	return awaited
}

// step is what a way does next.
type step uint8

const (
	rest   step = iota // until an event changes something
	flush              // hand over what is held
	move               // read, and hand it over
	finish             // pass FIN on
)

// next is the step of the way from one end to the other. Nothing is read that
// has nowhere to go: a stalled reader stops its sender.
func (w *way) next(from, to *end) step {
	switch {
	case w.finished || to.failed:
		return rest
	case w.holds():
		if to.writable {
			return flush
		}
		return rest
	case w.ended:
		return finish
	case from.readable && to.writable:
		return move
	}
	return rest
}

func (c *conn) next(d route.Direction) step {
	return c.ways[d].next(&c.ends[d], &c.ends[1-d])
}

// fate is the verdict of a conn that is to end now, and Undecided for one that
// lives on. What an end sent before its RST is passed on first, as long as that
// needs no waiting.
func (c *conn) fate() route.Verdict {
	switch {
	case c.ways[route.ToOrigin].finished && c.ways[route.ToClient].finished:
		return route.Closed
	case c.ends[clientEnd].failed && c.dry(route.ToOrigin):
		return route.ResetByClient
	case c.ends[originEnd].failed && c.dry(route.ToClient):
		return route.ResetByOrigin
	}
	return route.Undecided
}

// dry says that the way has nothing more to move now.
func (c *conn) dry(d route.Direction) bool {
	step := c.next(d)
	return step == rest || step == finish
}

// busy says that the conn has more to do before it waits for events.
func (c *conn) busy() bool {
	return c.next(route.ToOrigin) != rest || c.next(route.ToClient) != rest
}

// deadline is when the conn is cut if nothing happens before, and why then.
func (c *conn) deadline(t config.Timeouts) (at time.Duration, v route.Verdict) {
	at, v = c.patience(t)
	if c.drained != 0 && c.drained < at {
		return c.drained, route.DrainTimedOut
	}
	return at, v
}

func (c *conn) patience(t config.Timeouts) (at time.Duration, v route.Verdict) {
	idle := after(c.active, t.Idle)
	switch {
	case c.state == dialling:
		return after(c.dialled, t.Connect), route.ConnectTimedOut
	case c.ways[route.ToOrigin].finished || c.ways[route.ToClient].finished:
		if at = after(c.active, t.HalfClose); at <= idle {
			return at, route.HalfCloseTimedOut
		}
	}
	return idle, route.IdleTimedOut
}

// due is when the conn needs a look if nothing happens before: its deadline, or the
// moment to turn keepalive on, for which v is Undecided.
func (c *conn) due(t config.Timeouts) (at time.Duration, v route.Verdict) {
	at, v = c.deadline(t)
	if c.state != relaying || c.probed || t.Keepalive <= 0 {
		return at, v
	}
	// The kernel counts from the last packet, so at half of the time it is early enough.
	if probes := after(c.active, t.Keepalive/2); probes < at {
		return probes, route.Undecided
	}
	return at, v
}

// after adds a timeout, of which 0 means none. at is negative where it was in another
// process.
func after(at, timeout time.Duration) time.Duration {
	if timeout <= 0 || timeout > wheel.Never-max(at, 0) {
		return wheel.Never
	}
	return at + timeout
}

const (
	bulkStreak = 2        // this many reads that filled the buffer make a way bulk
	bulkLeast  = 16 << 10 // less than this at once ends it
	turnSteps  = 8        // of a way, before other conns have their turn
)

// streak is the number of large reads in a row, after one of n bytes.
func streak(before uint8, n int) uint8 {
	switch {
	case n < bulkLeast:
		return 0
	case n >= buffers.Size && before < bulkStreak:
		return before + 1
	}
	return before
}
