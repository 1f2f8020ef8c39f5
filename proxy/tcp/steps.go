package tcp

import (
	"anyport/proxy/buffers"
	"anyport/proxy/route"
)

// What a conn does next is decided here, by functions of its state without I/O.

// dialResult is the state of the dial in progress.
type dialResult uint8

const (
	dialPending dialResult = iota
	dialAccepted
	dialRejected  // by RST, ICMP or a timeout of the kernel
	dialAbandoned // the client has sent RST; FIN does not count, it may still read
)

func (c *conn) dialResult() dialResult {
	switch {
	case c.ends[clientEnd].failed:
		return dialAbandoned
	case c.ends[originEnd].failed:
		return dialRejected
	case c.ends[originEnd].writable:
		return dialAccepted
	}
	return dialPending
}

// step is what a way does next.
type step uint8

const (
	stepWait  step = iota // for an event
	stepFlush             // write what is held
	stepRead              // read, and write what was read
	stepFIN               // pass FIN on
)

// nextStep is the next step of the way between two ends. Nothing is read while the other end takes
// nothing: a stalled reader stops its sender. Nor is anything read while the way waits for bandwidth.
func (w *way) nextStep(from, to *end) step {
	switch {
	case w.finished || to.failed || w.collected: // nothing can be written any more, or not yet
		return stepWait
	case w.holds():
		if to.writable {
			return stepFlush
		}
		return stepWait
	case w.ended:
		return stepFIN
	case from.readable && to.writable && !w.paused:
		return stepRead
	}
	return stepWait
}

func (c *conn) nextStep(d route.Direction) step {
	return c.ways[d].nextStep(&c.ends[d], &c.ends[1-d])
}

// verdict is the verdict on a conn that has to end now, or Undecided if it goes on. What an end sent
// before its RST is passed on first, if that needs no waiting.
func (c *conn) verdict() route.Verdict {
	switch {
	case c.ways[route.ToOrigin].collected || c.ways[route.ToClient].collected: // sendCollected asks again
		return route.Undecided
	case c.ways[route.ToOrigin].finished && c.ways[route.ToClient].finished:
		return route.Closed
	case c.ends[clientEnd].failed && c.nothingToMove(route.ToOrigin):
		return route.ResetByClient
	case c.ends[originEnd].failed && c.nothingToMove(route.ToClient):
		return route.ResetByOrigin
	}
	return route.Undecided
}

// nothingToMove reports whether the way has no byte that it can move now.
func (c *conn) nothingToMove(d route.Direction) bool {
	step := c.nextStep(d)
	return step == stepWait || step == stepFIN
}

// hasSteps reports whether the conn can do more before it waits for events.
func (c *conn) hasSteps() bool {
	return c.nextStep(route.ToOrigin) != stepWait || c.nextStep(route.ToClient) != stepWait
}

const (
	bulkStreak = 2        // reads in a row that filled the buffer, after which a way is bulk
	bulkLeast  = 16 << 10 // bytes; a smaller read ends that
	turnSteps  = 8        // steps of a way in a turn, so that other conns have theirs
)

// nextStreak is the number of large reads in a row, after one of n bytes.
func nextStreak(before uint8, n int) uint8 {
	switch {
	case n < bulkLeast:
		return 0
	case n >= buffers.Size && before < bulkStreak:
		return before + 1
	}
	return before
}
